"""Gates get their values from what the stages left; what was not measured has none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep import stages
from spinalprep.cord.centerline import Centerline
from spinalprep.cord.files import write_centerline
from spinalprep.derivatives.quality import measure_quality
from spinalprep.image import Image, save
from spinalprep.registration.measures import CoregistrationMeasures
from spinalprep.reports.gates import judge, load_gates
from spinalprep.stages import Node, Result, Results, Stage
from spinalprep.tables import write_table

ANY = Path("any")


def results(*left: tuple[Stage[stages.R], stages.R]) -> Results:
    return Results({Node(stage): result for stage, result in left})


def segmented(cord: Path, unseen: int = 0) -> stages.SegmentedCord:
    maps = dict.fromkeys(("probability", "gm", "lesion", "uncertainty", "centerline"), ANY)
    return stages.SegmentedCord(
        cord=cord, confidence=1.0, unseen=unseen, doubtful=[], moved=None, **maps
    )


def shapes(perslice: Path) -> stages.CordShape:
    return stages.CordShape(perslice=perslice, perlevel=ANY, total=ANY)


def coregistered(gain: float, headers_hold: bool = False) -> stages.Coregistered:
    measures = CoregistrationMeasures(gain, True, headers_hold, 1.0, 1.0 + gain)
    return stages.Coregistered(image=ANY, forward=ANY, inverse=ANY, measures=measures)


def areas(slices: list[int], area: list[float], level: float, mm: float = 5.0) -> pd.DataFrame:
    place = [-mm * k for k in slices]
    columns = {"slice": slices, "s_mm": place, "vertebral_level": level, "area_mm2": area}
    return pd.DataFrame(columns).assign(length_mm=mm, complete=True, doubtful=False)


def shape(
    folder: Path, slices: list[int], area: list[float], level: float = np.nan
) -> dict[str, float | None]:
    path = folder / "perslice.tsv"
    write_table(areas(slices, area, level), path)
    return measure_quality(results((stages.SHAPE, shapes(path))))


def verdicts(measured: dict[str, float | None]) -> dict[str, str]:
    table = judge(measured, load_gates())
    return dict(zip(table["metric"], table["result"], strict=True))


@pytest.mark.parametrize(
    ("area", "jump", "word"),
    [
        ([40, 80, 84, 80, 82, 30], 4 / 5, "PASS"),  # ends may be cut by the field of view
        ([90, 91, 124, 134, 134, 95], 33 / 5, "WARN"),
        ([80, 80, 160, 80, 80, 80], 16.0, "FAIL"),
    ],
)
def test_area_jumps(tmp_path: Path, area: list[float], jump: float, word: str) -> None:
    found = shape(tmp_path, list(range(6)), area)
    assert found["area_jump"] == pytest.approx(jump)
    assert found["coverage"] == 1.0
    assert verdicts(found)["area_jump"] == word


def test_no_jump_across_a_gap_but_less_coverage(tmp_path: Path) -> None:
    found = shape(tmp_path, [0, 1, 2, 8, 9, 10], [80.0, 80, 81, 40, 40, 40])
    assert found["area_jump"] == pytest.approx(1 / 5)
    assert found["coverage"] == pytest.approx(6 / 11)
    assert verdicts(found)["coverage"] == "WARN"


@pytest.mark.parametrize("level", [5.0, np.nan])
def test_a_mask_that_grows_to_the_dural_sac_is_larger_than_healthy_cords(
    tmp_path: Path, level: float
) -> None:
    usual = verdicts(shape(tmp_path, list(range(5)), [75.0] * 5, level))
    assert usual["area_norm"] == "PASS"
    grown = shape(tmp_path, list(range(5)), [95.0, 95, 134, 134, 95], level)
    assert verdicts(grown)["area_norm"] == "WARN"


def test_only_a_known_level_says_that_a_cord_is_too_thin(tmp_path: Path) -> None:
    thin = [75.0, 75, 35, 75, 75]
    assert verdicts(shape(tmp_path, list(range(5)), thin, 5.0))["area_norm_low"] == "WARN"
    compressed = [75.0, 75, 50, 75, 75]
    assert verdicts(shape(tmp_path, list(range(5)), compressed, 5.0))["area_norm_low"] == "PASS"
    assert verdicts(shape(tmp_path, list(range(5)), thin))["area_norm_low"] == "n/a"


def test_a_centerline_that_goes_on_lessens_the_coverage_of_a_found_cord_only(
    tmp_path: Path,
) -> None:
    write_table(areas(list(range(6)), [80.0] * 6, np.nan), tmp_path / "perslice.tsv")
    mask = Image(np.ones((4, 4, 6), np.uint8), np.eye(4))
    cord = save(mask, tmp_path / "cord.nii.gz", dtype=np.uint8)
    found = results(
        (stages.SHAPE, shapes(tmp_path / "perslice.tsv")),
        (stages.AUTOMATIC, segmented(cord, unseen=2)),
    )
    assert measure_quality(found)["coverage"] == pytest.approx(6 / 8)
    assert verdicts(measure_quality(found))["coverage"] == "WARN"
    drawn = stages.DrawnCord(cord=cord, probability=cord, centerline=ANY)
    both = found.having(Node(stages.MANUAL), drawn)
    assert measure_quality(both)["coverage"] == 1.0


@pytest.mark.parametrize(("count", "word"), [(0, "PASS"), (5, "PASS"), (6, "WARN")])
def test_doubtful_ends_are_told_by_their_length_and_in_no_jump(
    tmp_path: Path, count: int, word: str
) -> None:
    table = areas(list(range(16)), [80.0] * 16, np.nan, mm=4.0)
    table["doubtful"] = table["slice"] < count
    table.loc[table["doubtful"], "area_mm2"] = np.arange(count) * 40.0
    write_table(table, tmp_path / "perslice.tsv")
    found = measure_quality(results((stages.SHAPE, shapes(tmp_path / "perslice.tsv"))))
    assert found["doubtful_mm"] == 4.0 * count
    assert found["area_jump"] == 0.0
    assert verdicts(found)["doubtful_mm"] == word


def test_too_few_slices_have_no_jump(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        found = shape(tmp_path, list(range(count)), [80.0] * count)
        assert found["area_jump"] is None
        assert verdicts(found)["area_jump"] == "n/a"


def test_pieces_and_unknown_levels(tmp_path: Path) -> None:
    mask = np.zeros((10, 10, 12), np.uint8)
    mask[4:6, 4:6, [1, 2, 5, 6, 9, 10]] = 1
    cord = save(Image(mask, np.eye(4)), tmp_path / "cord.nii.gz", dtype=np.uint8)
    found = measure_quality(results((stages.AUTOMATIC, segmented(cord))))
    assert found["components"] == 3
    assert found["level_confidence"] == 0.0
    assert verdicts(found)["components"] == "WARN"
    assert verdicts(found)["dice_template"] == "n/a"


def test_the_worst_contrast_counts_and_one_that_overlaps_nowhere_gains_nothing() -> None:
    def gates(**contrasts: stages.Coregistered) -> dict[str, float | None]:
        left: dict[Node, Result] = {
            Node(stages.COREGISTER, name): fit for name, fit in contrasts.items()
        }
        return measure_quality(Results(left))

    star = coregistered(0.008)
    two = gates(T1w=coregistered(0.02), T2starw=star)
    assert two["coreg_gain"] == pytest.approx(0.008)
    assert verdicts(two)["coreg_gain"] == "PASS"
    nowhere = gates(T1w=coregistered(float("nan")), T2starw=star)
    assert verdicts(nowhere)["coreg_gain"] == "WARN"
    nothing_to_gain = coregistered(float("nan"), headers_hold=True)
    assert verdicts(gates(T1w=nothing_to_gain, T2starw=star))["coreg_gain"] == "PASS"
    assert verdicts(gates(T1w=nothing_to_gain))["coreg_gain"] == "n/a"


def test_lesions_far_outside() -> None:
    files = dict.fromkeys(("mask", "instances", "soft", "evidence"), ANY)
    lesions = stages.SeparatedLesions(volumes=[], refused=[], outside=0.3, **files)
    found = measure_quality(results((stages.LESION, lesions)))
    assert verdicts(found)["lesion_outside_cord"] == "WARN"


def test_an_outline_that_the_image_does_not_show_warns(tmp_path: Path) -> None:
    i, j, _ = np.indices((24, 24, 12))
    mask = (np.hypot(i - 12, j - 12) <= 5).astype(np.uint8)
    cord = save(Image(mask, np.eye(4)), tmp_path / "cord.nii.gz", dtype=np.uint8)
    drawn = stages.DrawnCord(cord=cord, probability=cord, centerline=ANY)
    clear = np.where(mask > 0, 100.0, 200.0).astype(np.float32)
    hidden = clear.copy()
    hidden[:, :, 1:-1] = 100.0
    for grey, word in ((clear, "PASS"), (hidden, "WARN")):
        image = save(Image(grey, np.eye(4)), tmp_path / "image.nii.gz")
        seen = stages.Preprocessed(image=image)
        found = measure_quality(results((stages.PREPROCESS, seen), (stages.MANUAL, drawn)))
        assert verdicts(found)["edge"] == word


def test_what_looks_like_fluid_is_told_from_cord_in_t2w_alone(tmp_path: Path) -> None:
    i, j, _ = np.indices((24, 24, 30))
    mask = (np.hypot(i - 12, j - 12) <= 5).astype(np.uint8)
    cord = save(Image(mask, np.eye(4)), tmp_path / "cord.nii.gz", dtype=np.uint8)
    z = np.arange(29.0, -0.1, -0.5)
    line = write_centerline(
        Centerline(np.stack([0 * z + 12, 0 * z + 12, z], axis=1)), tmp_path / "line.tsv"
    )
    auto = replace(segmented(cord), probability=cord, centerline=line)
    drawn = stages.DrawnCord(cord=cord, probability=cord, centerline=line)
    for inside, word in ((100.0, "PASS"), (300.0, "WARN")):
        grey = np.where(mask > 0, inside, 200.0).astype(np.float32)
        image = save(Image(grey, np.eye(4)), tmp_path / "image.nii.gz")
        found = results((stages.PREPROCESS, stages.Preprocessed(image=image)))
        found = found.having(Node(stages.AUTOMATIC), auto)
        assert verdicts(measure_quality(found, "T2w"))["cauda_mm"] == word
        assert verdicts(measure_quality(found, "T1w"))["cauda_mm"] == "n/a"
        both = found.having(Node(stages.MANUAL), drawn)
        assert verdicts(measure_quality(both, "T2w"))["cauda_mm"] == "n/a"
