"""The steepest change of area is that of the cord, whatever the thickness of the slices."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord.jumps import steepest_change


def cord(
    spacing_mm: float, slope: float, noise: float = 0.0, length_mm: float = 60.0
) -> pd.DataFrame:
    s = np.arange(0.0, length_mm, spacing_mm)
    area = 60 + slope * s + noise * np.random.default_rng(0).standard_normal(len(s))
    return pd.DataFrame({"slice": np.arange(len(s))[::-1], "s_mm": s, "area_mm2": area})


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 3.0, 5.0, 7.5])
def test_an_even_slope_is_found_at_any_spacing(spacing_mm: float) -> None:
    found = steepest_change(cord(spacing_mm, 0.7))
    assert found is not None
    assert np.isclose(found, 0.7)


def test_noise_of_thin_slices_is_no_jump() -> None:
    found = steepest_change(cord(0.8, 0.0, noise=2.0))
    assert found is not None
    assert found < 2.0


def test_one_wrong_slice_is_a_jump() -> None:
    table = cord(1.0, 0.0)
    table.loc[30, "area_mm2"] += 40.0
    assert np.isclose(steepest_change(table) or 0.0, 8.0)


def test_too_short_a_cord_has_none() -> None:
    assert steepest_change(cord(1.0, 0.0, length_mm=3.0)) is None
    assert steepest_change(cord(5.0, 0.0, length_mm=5.0)) is None
