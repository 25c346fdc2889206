"""Areas against healthy people, as they would measure in the masks of this program."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spinalprep.normative.calibration import load_calibration
from spinalprep.normative.plausible import furthest_areas
from spinalprep.normative.table import load_norms


def expected(level: int) -> tuple[float, float]:
    """Return the mean area at a level in our masks, and the SD of its logarithm."""
    row = load_norms().of_levels("area_mm2").loc[level]
    table = load_calibration().table
    own = table[(table["measure"] == "area_mm2") & (table["vertebral_level"] == level)].iloc[0]
    return float(row["mean"] * np.exp(own["offset"])), float(np.hypot(row["sd"], own["spread"]))


def sections(areas: list[float], level: float) -> pd.DataFrame:
    return pd.DataFrame({"area_mm2": areas, "vertebral_level": level})


@pytest.mark.parametrize("level", [2, 5, 8])
def test_a_healthy_section_in_our_masks_is_nothing_special(level: int) -> None:
    mean, sd = expected(level)
    sizes = [mean * np.exp(z * sd) for z in (-1.5, 0.0, 2.0)]
    found = furthest_areas(sections(sizes, level), load_norms(), load_calibration())
    assert found.above == pytest.approx(2.0, abs=0.01)
    assert found.below == pytest.approx(1.5, abs=0.01)


def test_without_a_level_the_one_that_fits_best_judges() -> None:
    largest = max(expected(level)[0] for level in range(1, 9))
    table = sections([largest, 1.6 * largest], np.nan)
    found = furthest_areas(table, load_norms(), load_calibration())
    assert found.above == pytest.approx(np.log(1.6) / 0.115, rel=0.15)
    assert found.below is None


def test_a_level_that_was_not_calibrated_takes_the_offset_of_the_nearest() -> None:
    calibration = load_calibration()
    few = replace(calibration, table=calibration.table[calibration.table["vertebral_level"] <= 5])
    mean, _ = expected(5)
    shift = np.log(mean / load_norms().of_levels("area_mm2").loc[5, "mean"])
    at_seven = float(load_norms().of_levels("area_mm2").loc[7, "mean"] * np.exp(shift))
    found = furthest_areas(sections([at_seven], 7.0), load_norms(), few)
    assert found.above == pytest.approx(0.0, abs=0.01)
