"""From the truth of a synthetic subject to the tables of the cord's shape."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.cord.files import write_centerline
from spinalprep.image import Image, save
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import write_levels
from spinalprep.levels.label import label_vertebrae
from spinalprep.normative.table import MEASURES, SHIPPED, Z_COLUMNS, load_norms
from spinalprep.phantom.anatomy import Person, make_person, truth_cord
from spinalprep.tables import read_table
from spinalprep.workflows.measures import Healthy, Shape

SEED = 100002


@pytest.fixture(scope="module")
def person() -> Person:
    return make_person(SEED)


@pytest.fixture(scope="module")
def inputs(person: Person, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Cord, spread, centerline, discs and levels as files."""
    home = tmp_path_factory.mktemp("measures")
    affine = np.diag([-0.8, 0.8, 2.0, 1.0])
    affine[:3, 3] = [20.0, -24.0, -64.0]
    grid = Image(np.zeros((50, 70, 64), np.float32), affine)
    cord = grid.with_data(truth_cord(person, grid, fine=2))
    line = centerline_from_mask(cord)
    points = person.centerline.at(np.array(list(person.disc_s.values())))
    disc_s = dict(zip(person.disc_s, line.project(points)[:, 0], strict=True))
    levels = Levels(disc_s, "manual")
    vertebrae = grid.with_data(label_vertebrae(cord, line, levels))
    spread = grid.with_data(np.where(cord.data > 0, np.float32(0.05), np.float32(0)))
    return {
        "cord": Path(save(cord, home / "cord.nii.gz")),
        "centerline": write_centerline(line, home / "centerline.tsv"),
        "vertebrae": Path(save(vertebrae, home / "vertebrae.nii.gz", np.int16)),
        "spread": Path(save(spread, home / "spread.nii.gz")),
        "levels": write_levels(levels, home / "levels.json"),
    }


def exact(home: Path) -> Path:
    """Write a calibration of masks that are as those of the table; home must be there."""
    entry = {"vertebral_level": 0, "n": 4, "offset": 0.0, "slope": 1.0, "spread": 0.0}
    entry |= {"spread_slice": 0.0, "sd_table": 0.1, "usable": True, "usable_slice": True}
    levels = [entry | {"measure": m, "vertebral_level": n} for m in MEASURES for n in range(1, 11)]
    said = {"People": 4, "Date": "2026-01-01", "Contrast": "T2w", "VoxelSizeRange": [0.7, 1.3]}
    path = home / "calibration.json"
    path.write_text(json.dumps(said | {"Network": {}, "Levels": levels}))
    return path


def measure(inputs: dict[str, Any], cache: Path, **who: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    graph = Shape(**inputs, healthy=Healthy(SHIPPED, calibration=exact(cache), **who))
    found = graph(cache_root=cache, worker="debug")
    return read_table(Path(found.perslice)), read_table(Path(found.perlevel))


def test_levels_are_held_against_people_of_the_same_sex(
    person: Person, inputs: dict[str, Any], tmp_path: Path
) -> None:
    perslice, perlevel = measure(inputs, tmp_path, age=30.0, sex="F")
    assert (perslice["area_mm2_lower"] < perslice["area_mm2"]).all()
    perlevel = perlevel.set_index("vertebral_level")
    for level in (4, 5, 6):
        s = np.linspace(person.disc_s[level], person.disc_s[level + 1], 50)
        truth = np.log(person.area_at(s)).mean()
        norm = load_norms().of_levels("area_mm2", "F").loc[level]
        expected = (truth - np.log(norm["mean"])) / norm["sd"]
        assert perlevel.loc[level, "area_z"] == pytest.approx(expected, abs=0.1)
        truth_mm2 = person.area_at(s).mean()
        assert perlevel.loc[level, "area_mm2"] == pytest.approx(truth_mm2, rel=0.01)
    man = measure(inputs, tmp_path, age=30.0, sex="M")[1].set_index("vertebral_level")
    assert (man.loc[[4, 5, 6], "area_z"] < perlevel.loc[[4, 5, 6], "area_z"]).all()


def test_nobody_is_held_against_anybody_in_masks_that_are_not_calibrated(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    graph = Shape(**inputs, healthy=Healthy(SHIPPED, age=30.0, sex="F"))
    perlevel = read_table(Path(graph(cache_root=tmp_path, worker="debug").perlevel))
    assert (perlevel["area_mm2"] > 0).all()
    assert perlevel[list(Z_COLUMNS.values())].isna().all(axis=None)


def test_nobody_is_held_against_anybody_without_age_sex_or_levels(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    for who in ({"age": 30.0}, {"sex": "F"}, {"age": 80.0, "sex": "F"}):
        perlevel = measure(inputs, tmp_path, **who)[1]
        assert len(perlevel)
        assert perlevel["area_z"].isna().all()
    nowhere = {key: value for key, value in inputs.items() if key not in ("levels", "vertebrae")}
    perslice, perlevel = measure(nowhere, tmp_path, age=30.0, sex="F")
    assert perslice["vertebral_level"].isna().all()
    assert perlevel.empty


def test_the_whole_cord_needs_no_level(inputs: dict[str, Any], tmp_path: Path) -> None:
    nowhere = {key: value for key, value in inputs.items() if key not in ("levels", "vertebrae")}
    found = Shape(**nowhere)(cache_root=tmp_path, worker="debug")
    perslice, total = (read_table(Path(path)) for path in (found.perslice, found.total))
    assert total["vertebral_level"].tolist() == ["all"]
    volume = (perslice["area_mm2"] * perslice["length_mm"]).sum()
    assert total.loc[0, "volume_mm3"] == pytest.approx(volume, rel=1e-4)
    assert total.loc[0, "area_mm2"] == pytest.approx(perslice["area_mm2"].mean(), rel=0.01)


def test_doubtful_slices_are_told_and_in_no_mean(inputs: dict[str, Any], tmp_path: Path) -> None:
    doubtful = list(range(20))
    found = Shape(**inputs, doubtful=doubtful)(cache_root=tmp_path, worker="debug")
    perslice, perlevel, total = (
        read_table(Path(path)) for path in (found.perslice, found.perlevel, found.total)
    )
    told = perslice["slice"][perslice["doubtful"]].tolist()
    assert told == [k for k in perslice["slice"] if k < 20]
    assert len(told) > 10
    assert (
        perlevel["slices"].sum()
        == (~perslice["doubtful"] & perslice["vertebral_level"].notna()).sum()
    )
    assert total.loc[0, "doubtful_slices"] == len(told)
    assert total.loc[0, "doubtful_mm"] == pytest.approx(2.0 * len(told), rel=0.1)
    volume = (perslice["area_mm2"] * perslice["length_mm"]).sum()
    assert total.loc[0, "volume_mm3"] == pytest.approx(volume, rel=1e-4)
