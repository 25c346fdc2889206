"""From files of maps to tables by region."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, load, reorient, save
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import write_levels
from spinalprep.registration.transform import Affine, write_itk
from spinalprep.workflows.metrics import MtRatio, RegionalMetric

NAMES = ["WM left a", "WM right b", "GM left c", "CSF contour"]
COMBINED = {"white matter": [0, 1], "gray matter": [2]}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cord() -> Image:
    data = np.zeros((16, 16, 8), np.uint8)
    data[5:11, 6:10] = 1
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = [8.0, -8.0, -12.0]
    return Image(data, affine)


def store(image: Image, name: str, dtype: type = np.float32) -> Path:
    return save(image, Path(name), dtype)


def run(node: Any, home: Path) -> Any:
    return node(cache_root=home / "cache", worker="debug")


def test_ratio_of_images_that_moved_against_each_other(there: Path) -> None:
    mask = cord()
    on = mask.with_data(np.full(mask.shape, 60.0))
    on.data[7, 8, 4] = -5.0
    moved = mask.affine.copy()
    moved[0, 3] += 4.0  # everything was found 4 mm to the right
    off = Image(np.where(mask.data > 0, 120.0, 0.0), moved)
    shift = np.eye(4)
    shift[0, 3] = 4.0
    field = write_itk(Affine(shift), Path("forward.txt"))
    files = {"on": store(reorient(on, "RPI"), "on.nii.gz"), "off": store(off, "off.nii.gz")}
    node = MtRatio(**files, cord=store(mask, "cord.nii.gz", np.uint8), to_off=field)
    ratio = load(Path(run(node, there).map)).data
    assert np.isnan(ratio[mask.data == 0]).all()
    assert np.isnan(ratio[7, 8, 4])
    assert np.nanmedian(ratio) == pytest.approx(50.0, abs=0.01)
    assert np.isfinite(ratio).sum() == mask.data.sum() - 1


@pytest.mark.parametrize("known", [True, False])
def test_tracts_are_measured_only_where_the_height_is_known(there: Path, known: bool) -> None:
    mask = cord()
    count = int(mask.data.sum())
    shares = np.zeros((count, 4), np.float32)
    shares[np.arange(count), np.arange(count) % 3] = 1.0
    values = np.full(mask.shape, np.nan, np.float32)
    values[mask.data > 0] = np.array([30.0, 40.0, 50.0])[np.arange(count) % 3]
    np.save("shares.npy", shares)
    levels = Levels({3: 0.0, 4: 20.0}, "hint") if known else Levels({})
    drawn = mask.with_data(mask.data * (3 if known else 0))
    node = RegionalMetric(
        image=store(mask.with_data(values), "map.nii.gz"),
        cord=store(mask, "cord.nii.gz", np.uint8),
        names=NAMES,
        combined=COMBINED,
        vertebrae=store(drawn, "vertebrae.nii.gz", np.int16),
        levels=write_levels(levels, there / "levels.json"),
        shares=there / "shares.npy",
    )
    table = pd.read_csv(run(node, there).table, sep="\t", keep_default_na=False)
    whole = table[table["vertebral_level"] == "all"].set_index(["kind", "region", "side"])
    assert float(whole["metric_wa"][("cord", "cord", "both")]) == pytest.approx(40.0)
    if known:
        assert set(table["vertebral_level"]) == {"all", "C3"}
        assert float(whole["metric_ml"][("tract", "WM right b", "right")]) == pytest.approx(40.0)
        assert float(whole["metric_ml"][("tissue", "gray matter", "both")]) == pytest.approx(50.0)
    else:
        assert len(table) == 1


def test_a_map_says_nothing_in_doubtful_slices(there: Path) -> None:
    mask = cord()
    values = mask.with_data(np.where(np.arange(8) < 3, 90.0, 30.0) * np.ones(mask.shape))
    files = {"image": store(values, "map.nii.gz"), "cord": store(mask, "cord.nii.gz", np.uint8)}
    for doubtful, mean, known in (([], 52.5, 100.0), ([0, 1, 2], 30.0, 62.5)):
        node = RegionalMetric(**files, names=[], combined={}, doubtful=doubtful)
        row = pd.read_csv(Path(run(node, there).table), sep="\t").iloc[0]
        assert row["metric_wa"] == pytest.approx(mean)
        assert row["known_percent"] == pytest.approx(known)
