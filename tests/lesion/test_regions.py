"""Shares of lesions by level and region: they add up, and meet the phantom's truth."""

import time

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, grid_points
from spinalprep.lesion.measures import measure_lesions, sum_lesions
from spinalprep.lesion.regions import dominant_columns, measure_regions
from spinalprep.phantom.anatomy import GM, LESION, WM, Person, make_person
from spinalprep.template.regions import list_regions

NAMES = [
    "WM left dorsal",
    "WM right dorsal",
    "WM left lateral",
    "WM right lateral",
    "WM left ventral",
    "WM right ventral",
    "GM left horns",
    "GM right horns",
    "CSF contour",
]
COMBINED = {
    "dorsal columns": (0, 1),
    "lateral funiculi": (2, 3),
    "ventral funiculi": (4, 5),
    "white matter": (0, 1, 2, 3, 4, 5),
    "gray matter": (6, 7),
}
REGIONS = list_regions(NAMES, COMBINED)


def block() -> tuple[Image, Image, Image, np.ndarray]:
    """A square cord of 8 x 8 mm, two levels, an atlas with voxels of two regions, two lesions."""
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    cord = np.zeros((12, 12, 10), np.uint8)
    cord[2:10, 2:10] = 1
    levels = np.where(np.arange(10) < 5, 4, 3) * cord
    shares = np.zeros((12, 12, 10, 9), np.float32)
    shares[2:6, 2:6, :, 1] = 1.0  # LAS: the lower index is on the right
    shares[6:10, 2:6, :, 0] = 1.0
    shares[2:6, 6:10, :, 5], shares[2:6, 6:10, :, 7] = 0.75, 0.25
    shares[6:10, 6:10, :, 4] = 1.0
    shares[9, 9] = 0.0  # a corner that the atlas does not reach
    lesions = np.zeros((12, 12, 10), np.int32)
    lesions[4:8, 5:7, 3:7] = 1
    lesions[9:11, 9, 8:] = 2
    image = Image(cord, affine)
    inside = shares[cord > 0]
    return image.with_data(lesions), image, image.with_data(levels), inside


def pick(table: pd.DataFrame, **what: str) -> pd.Series:
    found = table[np.logical_and.reduce([table[k] == v for k, v in what.items()])]
    assert len(found) == 1, found
    return found.iloc[0]


def test_a_block_counts_as_on_paper() -> None:
    table = measure_regions(*block(), REGIONS)
    own = {"vertebral_level": "all", "side": "both", "lesion": "1"}
    assert pick(table, kind="column", region="dorsal", **own)["percent_of_lesion"] == 50.0
    assert pick(table, kind="column", region="ventral", **own)["percent_of_lesion"] == 43.75
    assert pick(table, kind="tissue", region="gray matter", **own)["percent_of_lesion"] == 6.25
    c3 = own | {"vertebral_level": "C3", "side": "left"}
    row = pick(table, kind="tract", region="WM left dorsal", **c3)
    assert row["lesion_mm3"] == 2 * 2 * 2
    assert row["region_mm3"] == 4 * 4 * 5 * 2
    assert row["percent_of_region"] == 5.0
    away = own | {"lesion": "2"}
    assert pick(table, kind="outside", region="outside the cord", **away)["lesion_mm3"] == 4.0
    assert pick(table, kind="unassigned", region="cord beyond the atlas", **away)["lesion_mm3"] == 4
    everything = own | {"lesion": "all"}
    assert pick(table, kind="cord", region="cord", **everything)["lesion_mm3"] == 64 + 4


def test_shares_add_up_to_a_hundred() -> None:
    table = measure_regions(*block(), REGIONS)
    table = table[table["lesion"] != "all"]
    rest = table["kind"].isin(["unassigned", "outside"])
    both = table["side"] == "both"
    columns = both & (table["kind"].eq("column") | table["region"].eq("gray matter"))
    for level in (table["vertebral_level"] == "all", table["vertebral_level"] != "all"):
        for kind in (columns, both & table["kind"].eq("tissue"), table["kind"].eq("tract")):
            total = table[level & (kind | rest)].groupby("lesion")["percent_of_lesion"].sum()
            assert total.to_numpy() == pytest.approx(100.0, abs=1e-4)


def test_without_atlas_or_levels_there_is_the_cord_alone() -> None:
    labels, cord, levels, _ = block()
    table = measure_regions(labels, cord)
    assert set(table["vertebral_level"]) == {"all"}
    assert set(table["kind"]) == {"cord", "outside"}
    table = measure_regions(labels, cord, levels)
    assert set(table["vertebral_level"]) == {"all", "C3", "C4", "n/a"}
    none = measure_regions(labels.with_data(labels.data * 0), cord, levels)
    assert none["percent_of_lesion"].isna().all()
    assert none.loc[none["kind"] == "cord", "percent_of_region"].eq(0).all()
    assert dominant_columns(none).empty


def test_totals_of_a_person() -> None:
    labels, cord, _, _ = block()
    volumes = pd.DataFrame({"volume_mm3": [64.0, 8.0], "outside_mm3": [0.0, 4.0]})
    volumes = volumes.assign(length_mm=1.0, max_axial_damage_ratio=[0.1, 0.2])
    row = sum_lesions(volumes, labels, cord).iloc[0]
    assert row["lesions"] == 2
    assert row["volume_mm3"] == 72.0
    assert row["percent_of_cord"] == pytest.approx(100 * 68 / 1280)


def analytic(person: Person, like: Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each region in a grid's voxels, from 3 x 3 x 3 points, and the cord."""
    steps = np.array([-1, 0, 1]) / 3
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    shares = np.zeros((*like.shape, 9), np.float32)
    turn = np.deg2rad(person.turn_deg)
    for offset in offsets @ like.affine[:3, :3].T:
        sxy = person.centerline.project(grid_points(like.shape, like.affine) + offset)
        s, x, y = np.moveaxis(sxy, -1, 0)
        rl, ap = person.radii_at(s)
        a = (x * np.cos(turn) + y * np.sin(turn)) / rl
        b = (y * np.cos(turn) - x * np.sin(turn)) / ap
        cord = a**2 + b**2 <= 1
        side = (a >= 0).astype(int)
        column = np.where(np.abs(a) > np.abs(b), 1, np.where(b < 0, 0, 2))
        grey = np.hypot(a, b) < 0.4
        index = np.where(grey, 6 + side, 2 * column + side)
        np.add.at(shares.reshape(-1, 9), (np.flatnonzero(cord), index[cord]), 1 / 27)
    return shares, shares.sum(axis=-1) >= 0.5


@pytest.mark.slow
def test_a_phantom_s_lesions_are_where_they_were_drawn() -> None:
    person = make_person(100_003, lesions=3)
    shape, affine = (20, 32, 80), np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [9.5, -15.5, -39.5]
    like = Image(np.zeros(shape), affine)
    shares, cord = analytic(person, like)
    tissue = person.labels_on(shape, affine, fine=3)
    lesion = tissue[LESION] >= 0.5 * tissue[[WM, GM, LESION]].sum(axis=0)
    lesion &= cord
    inside = shares[cord] / shares[cord].sum(axis=-1, keepdims=True)
    table = measure_regions(
        like.with_data(lesion.astype(int)), like.with_data(cord), None, inside, REGIONS
    )
    found = table[(table["lesion"] == "1") & (table["kind"] == "tract")].set_index("region")
    points = np.random.default_rng(0).normal(size=(3, 200_000, 3))
    truth = np.zeros(9)
    for own, drawn in zip(person.lesions, points, strict=True):
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        radius = np.random.default_rng(1).random(len(unit)) ** (1 / 3)
        s, x, y = (own.centre + unit * radius[:, None] * own.half_axes).T
        turn = np.deg2rad(person.turn_deg)
        rl, ap = person.radii_at(s)
        a = (x * np.cos(turn) + y * np.sin(turn)) / rl
        b = (y * np.cos(turn) - x * np.sin(turn)) / ap
        kept = a**2 + b**2 <= 1
        column = np.where(np.abs(a) > np.abs(b), 1, np.where(b < 0, 0, 2))
        index = np.where(np.hypot(a, b) < 0.4, 6, 2 * column) + (a >= 0)
        truth += np.bincount(index[kept], minlength=9) * own.volume_mm3 / len(kept)
    truth = 100 * truth / truth.sum()
    for n, name in enumerate(NAMES[:8]):
        mine = found["percent_of_lesion"].get(name, 0.0)
        assert mine == pytest.approx(truth[n], abs=2.5), name


def test_a_full_cervical_volume_takes_less_than_half_a_second() -> None:
    person = make_person(100_001)
    shape, affine = (120, 120, 240), np.diag([-0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = [29.75, -29.75, -59.75]
    like = Image(np.zeros(shape, np.int32), affine)
    z = affine[2, 3] + 0.5 * np.arange(shape[2])
    middle = np.stack(
        [np.interp(-z, -person.centerline.points[:, 2], p) for p in person.centerline.points.T[:2]]
    )
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape[:2]), indexing="ij"))
    apart = affine[:2, 3, None, None] + np.array([-0.5, 0.5])[:, None, None] * grid
    far = np.hypot(*(apart[..., None] - middle[:, None, None]))
    cord = far <= 4.7
    labels = np.zeros(shape, np.int32)
    for n in range(8):
        labels[..., 10 + 28 * n : 30 + 28 * n] = n + 1
    labels *= far <= 2
    shares = np.random.default_rng(0).dirichlet(np.ones(36), int(cord.sum())).astype(np.float32)
    names = [f"WM {('left', 'right')[n % 2]} {n}" for n in range(36)]
    regions = list_regions(names, {"dorsal columns": (0, 1, 2, 3)})
    started = time.process_time()
    table = measure_lesions(like.with_data(labels), like.with_data(cord), person.centerline)
    measure_regions(like.with_data(labels), like.with_data(cord), None, shares, regions)
    assert len(table) == 8
    assert time.process_time() - started < 2.0  # measured 0.4 s on one core; machines differ
