"""The cord as a whole adds up its slices."""

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.whole import total_table
from spinalprep.image import Image, grid_points


def cylinder(shape: tuple[int, int, int]) -> tuple[Image, object]:
    """A cord of radius 5 mm along z through the middle of 20 slices of 2 mm."""
    affine = np.diag([-0.5, 0.5, 2.0, 1.0])
    affine[:3, 3] = np.array([14.75, -14.75, -19.0])
    x, y, _ = np.moveaxis(grid_points(shape, affine), -1, 0)
    line = fit_centerline(np.array([[0.0, 0, 20], [0, 0, -20]]))
    return Image((np.hypot(x, y) <= 5).astype(np.float32), affine), line


def test_a_cylinder_has_its_volume_and_area() -> None:
    table = measure_slices(*cylinder((60, 60, 20)))
    total = total_table(table)
    assert len(total) == 1
    row = total.iloc[0]
    assert row["vertebral_level"] == "all"
    assert row["slices"] == 20
    assert row["length_mm"] == pytest.approx(40.0)
    assert row["area_mm2"] == pytest.approx(25 * np.pi, rel=0.02)
    assert row["volume_mm3"] == pytest.approx(row["area_mm2"] * 40.0)
    for name in ("area_mm2", "volume_mm3"):
        assert row[f"{name}_lower"] < row[name] < row[f"{name}_upper"]
    assert row["diameter_ap_mm"] == pytest.approx(10.0, rel=0.02)
    assert row["area_mm2_sd"] == pytest.approx(0.0, abs=1e-6)


def test_doubtful_slices_are_in_the_volume_and_in_no_mean() -> None:
    cord, line = cylinder((60, 60, 20))
    data = cord.data.copy()
    data[10:25, :, :5] = 0.0  # a part of the section is missing
    spoilt = cord.with_data(data)
    sure = total_table(measure_slices(cord, line)).iloc[0]
    row = total_table(measure_slices(spoilt, line, doubtful=range(5))).iloc[0]
    assert row["slices"] == 15
    assert row["length_mm"] == pytest.approx(30.0)
    assert (row["doubtful_slices"], row["doubtful_mm"]) == (5, pytest.approx(10.0))
    assert (sure["doubtful_slices"], sure["doubtful_mm"]) == (0, 0.0)
    for name in ("area_mm2", "area_mm2_lower", "area_mm2_upper", "diameter_rl_mm"):
        assert row[name] == pytest.approx(sure[name])
    assert total_table(measure_slices(spoilt, line)).iloc[0]["area_mm2"] < 0.96 * sure["area_mm2"]
    assert row["volume_mm3"] == pytest.approx(data.sum() * cord.voxel_volume, rel=1e-3)


def test_a_cord_that_is_cut_everywhere_has_a_volume_only() -> None:
    table = measure_slices(*cylinder((32, 60, 20)))
    assert not table["complete"].any()
    row = total_table(table).iloc[0]
    assert row["slices"] == 0
    assert row["volume_mm3"] > 500
    assert np.isnan(row["area_mm2"])
    assert np.isnan(row["diameter_ap_mm"])


def test_ranges_of_levels_add_up_their_slices() -> None:
    table = measure_slices(*cylinder((60, 60, 20)))
    table["vertebral_level"] = np.repeat([1.0, 2, 3, 4, 5, 6, 7, 8], [2, 2, 3, 3, 3, 3, 2, 2])
    total = total_table(table).set_index("vertebral_level")
    assert list(total.index) == ["all", "C2-C3", "C2-C7"]
    assert total.loc["C2-C3", "slices"] == 5
    assert total.loc["C2-C3", "length_mm"] == pytest.approx(10.0)
    for name, levels in (("C2-C3", [2, 3]), ("C2-C7", [2, 3, 4, 5, 6, 7])):
        part = table[table["vertebral_level"].isin(levels)]
        volume = float((part["area_mm2"] * part["length_mm"]).sum())
        assert total.loc[name, "volume_mm3"] == pytest.approx(volume)
        assert total.loc[name, "area_mm2"] == pytest.approx(25 * np.pi, rel=0.02)
        assert total.loc[name, "volume_mm3_per_mm"] == pytest.approx(25 * np.pi, rel=0.02)


@pytest.mark.parametrize("missing", [1.0, 3.0, 4.0])
def test_a_range_that_is_cut_off_or_has_a_gap_is_not_measured(missing: float) -> None:
    table = measure_slices(*cylinder((60, 60, 20)))
    table["vertebral_level"] = np.repeat([1.0, 2, 3, 4], 5)
    assert list(total_table(table)["vertebral_level"]) == ["all", "C2-C3"]
    table.loc[table["vertebral_level"] == missing, "vertebral_level"] = np.nan
    assert list(total_table(table)["vertebral_level"]) == ["all"]


def test_doubtful_slices_are_in_the_volume_of_a_range_and_in_no_mean() -> None:
    table = measure_slices(*cylinder((60, 60, 20)), doubtful=range(6, 8))
    table["vertebral_level"] = np.repeat([1.0, 2, 3, 4], 5)
    row = total_table(table).set_index("vertebral_level").loc["C2-C3"]
    assert (row["slices"], row["doubtful_slices"]) == (8, 2)
    assert row["volume_mm3"] == pytest.approx(row["area_mm2"] * 20.0, rel=1e-3)
