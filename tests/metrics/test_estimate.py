"""Estimates by region: exact without noise, and truer than averages with partial volumes."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image
from spinalprep.metrics.estimate import Shares, measure_metric
from spinalprep.metrics.maps import magnetization_transfer_ratio, sample_map, sample_through
from spinalprep.registration.transform import Affine
from spinalprep.template.regions import list_regions

TRACTS = 36
NAMES = [f"{'WM' if n < 30 else 'GM'} {('left', 'right')[n % 2]} {n}" for n in range(TRACTS)]
NAMES.append("CSF contour")
COMBINED = {
    "dorsal columns": tuple(range(4)),
    "white matter": tuple(range(30)),
    "gray matter": tuple(range(30, 36)),
}
CLUSTERS = (tuple(range(30)), tuple(range(30, 36)), (36,))
REGIONS = list_regions(NAMES, COMBINED)


def patchwork(seed: int, blur: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of 36 tracts and fluid in 12 slices of a disc, levels, and tract values.

    The tracts are wedges and rings; a voxel is the mean of its neighbourhood, so that the wider
    ``blur`` the more partial volumes there are.
    """
    side = np.linspace(-7, 7, 29)
    x, y = (part.ravel() for part in np.meshgrid(side, side, indexing="ij"))
    chance = np.random.default_rng(seed)
    inside = np.hypot(x, y) <= 6.5
    shares = np.zeros((int(inside.sum()), TRACTS + 1))
    for dx, dy in blur * chance.normal(size=(60, 2)):
        a, b = x[inside] + dx, y[inside] + dy
        wedge = np.floor((np.arctan2(b, a) + np.pi) / (2 * np.pi) * 17.999).astype(int)
        column = np.where(np.hypot(a, b) > 6.2, TRACTS, wedge + 18 * (np.hypot(a, b) < 4))
        shares[np.arange(len(a)), column] += 1 / 60
    levels = np.repeat(np.arange(12) // 4 + 3, len(shares))
    return np.tile(shares, (12, 1)), levels, chance.uniform(30, 50, TRACTS + 1)


def made(shares: np.ndarray) -> Shares:
    """Return shares as the atlas gives them: the tracts add up to one, fluid stands beside."""
    solid = shares[:, :TRACTS].sum(axis=1, keepdims=True)
    atlas = shares.copy()
    atlas[:, :TRACTS] /= np.maximum(solid, 1e-9)
    return Shares(atlas.astype(np.float32), REGIONS, (TRACTS,), CLUSTERS)


def tracts(table: pd.DataFrame, level: str = "all") -> pd.DataFrame:
    found = table[(table["kind"] == "tract") & (table["vertebral_level"] == level)]
    return found.set_index("region").loc[NAMES[:TRACTS]]


def test_without_noise_every_tract_is_recovered() -> None:
    shares, levels, truth = patchwork(0, 0.4)
    table = measure_metric(shares @ truth, made(shares), levels, 0.5)
    assert list(table["vertebral_level"].unique()) == ["all", "C3", "C4", "C5"]
    for level in ("all", "C4"):
        found = tracts(table, level)
        assert found["metric_ml"].to_numpy() == pytest.approx(truth[:TRACTS], abs=1e-3)
        assert (found["metric_ml_error"] < 1e-3).all()
    assert tracts(table)["voxels"].sum() == pytest.approx(shares[:, :TRACTS].sum(), rel=1e-4)


def test_unmixing_is_less_biased_than_averages() -> None:
    errors: dict[str, list[np.ndarray]] = {"metric_ml": [], "metric_map": [], "metric_wa": []}
    for seed in range(8):
        shares, _, truth = patchwork(seed, 0.6)
        truth[TRACTS] = 0.0  # fluid
        noisy = shares @ truth + np.random.default_rng(seed + 50).normal(size=len(shares)) * 2.0
        found = tracts(measure_metric(noisy, made(shares), None, 0.5))
        for name, each in errors.items():
            each.append(found[name].to_numpy() - truth[:TRACTS])
    bias = {name: float(np.abs(np.mean(e, axis=0)).mean()) for name, e in errors.items()}
    rmse = {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
    assert bias["metric_ml"] < 0.25 * bias["metric_wa"]  # measured 0.12
    assert rmse["metric_ml"] < 0.35 * rmse["metric_wa"]
    assert rmse["metric_map"] < 0.35 * rmse["metric_wa"]


def test_the_standard_error_is_what_repetition_shows() -> None:
    shares, _, truth = patchwork(3, 0.5)
    found = []
    for seed in range(20):
        noisy = shares @ truth + np.random.default_rng(seed).normal(size=len(shares)) * 3.0
        found.append(tracts(measure_metric(noisy, made(shares), None, 0.5)))
    spread = np.std([f["metric_ml"] for f in found], axis=0, ddof=1)
    said = np.mean([f["metric_ml_error"] for f in found], axis=0)
    assert np.median(spread / said) == pytest.approx(1.0, abs=0.12)


def test_a_prior_holds_where_a_region_is_tiny() -> None:
    shares = np.zeros((200, TRACTS + 1))
    shares[:150, 0] = 1.0
    shares[150:, 0], shares[150:, 1] = 0.98, 0.02
    values = 40.0 + np.random.default_rng(0).normal(size=200)
    table = measure_metric(values, made(shares), None, 1.0)
    row = table[table["region"] == NAMES[1]].iloc[0]
    assert abs(row["metric_map"] - 40.0) < 0.2
    assert row["metric_ml_error"] > 3.0


def test_what_cannot_be_told_apart_is_missing() -> None:
    shares = np.zeros((50, TRACTS + 1))
    shares[:, 0] = shares[:, 1] = 0.5
    table = measure_metric(np.full(50, 7.0), made(shares), None, 1.0)
    assert table[table["kind"] == "tract"]["metric_ml"].isna().all()
    both = table[(table["region"] == "dorsal") & (table["side"] == "both")].iloc[0]
    assert both["metric_ml"] == pytest.approx(7.0)
    assert both["metric_wa"] == pytest.approx(7.0)


def test_missing_and_zero_values_are_counted() -> None:
    shares = Shares(np.ones((8, 1), np.float32), list_regions(["cord"], {}))
    values = np.array([np.nan, np.nan, 0.0, 2.0, 2.0, 3.0, 5.0, 6.0])
    row = measure_metric(values, shares, None, 2.0).iloc[0]
    assert row["known_percent"] == 75.0
    assert row["zero_percent"] == pytest.approx(100 / 6)
    assert row["voxels"] == 6
    assert row["volume_mm3"] == 12.0
    assert row["metric_median"] == 2.5
    assert row["metric_mean"] == row["metric_wa"] == 3.0
    nothing = measure_metric(np.full(8, np.nan), shares, None, 2.0).iloc[0]
    assert nothing["known_percent"] == 0.0
    assert nothing[["metric_mean", "metric_ml", "metric_map", "metric_median"]].isna().all()


def test_a_map_is_known_up_to_the_faces_of_its_voxels() -> None:
    image = Image(np.arange(27.0, dtype=np.float32).reshape(3, 3, 3), np.diag([2.0, 2.0, 2.0, 1.0]))
    points = np.array([[2.0, 2.0, 2.0], [4.9, 2.0, 2.0], [5.1, 2.0, 2.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(sample_map(image, points), [13.0, 22.0, np.nan, 4.5])
    holed = image.with_data(np.where(image.data == 0, np.nan, image.data))
    assert np.isnan(sample_map(holed, points)[3])
    assert sample_map(holed, points)[0] == 13.0


def test_a_map_comes_through_a_transform() -> None:
    image = Image(np.arange(8.0, dtype=np.float32)[:, None, None] * np.ones((8, 4, 4)), np.eye(4))
    cord = Image(np.pad(np.ones((1, 1, 1)), ((2, 5), (2, 1), (2, 1))), np.eye(4))
    shift = np.eye(4)
    shift[0, 3] = 3.0
    assert sample_through(image, None, cord) == pytest.approx([2.0])
    assert sample_through(image, Affine(shift), cord) == pytest.approx([5.0])


def test_the_ratio_knows_where_there_is_no_signal() -> None:
    on = np.array([60.0, 0.0, 5.0, 50.0, -1.0, 110.0, np.nan])
    off = np.array([100.0, 100.0, 0.0, 20.0, 50.0, 100.0, 100.0])
    expected = [40.0, 100.0, np.nan, np.nan, np.nan, -10.0, np.nan]
    np.testing.assert_allclose(magnetization_transfer_ratio(on, off), expected)
