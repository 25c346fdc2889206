"""Discs, levels and measures follow from a map of structures as from the subject it shows."""

from dataclasses import replace

import numpy as np
import pytest

from spinalprep.image import Image, grid_points, reorient
from spinalprep.lumbar.measures import measure_lumbar
from spinalprep.lumbar.spine import (
    TO_SACRUM_MM,
    clean_spine,
    find_discs,
    name_discs,
    why_not_counted,
    why_not_lumbar,
)
from spinalprep.lumbar.structures import (
    CANAL,
    DISCS,
    SACRUM,
    STRUCTURES,
    VERTEBRAE,
    structure_labels,
)
from spinalprep.phantom.lumbar import LumbarPerson, LumbarRanges, make_lumbar
from spinalprep.phantom.lumbar_scans import draw_tissues
from spinalprep.phantom.lumbar_tissues import to_structures

HEALTHY = LumbarRanges(
    degeneration=(0.1, 0.2), stenosis=0, listhesis=0, transitional=0, scoliosis_mm=(0, 0)
)
AXES = np.arange(-26.0, 27.0, 4.0), np.arange(-75.0, 60.0, 1.25), np.arange(-70.0, 165.0, 1.25)


def truth_of(person: LumbarPerson) -> Image:
    affine = np.diag([4.0, 1.25, 1.25, 1.0])
    affine[:3, 3] = [axis[0] for axis in AXES]
    return Image(to_structures(draw_tissues(person, *AXES)), affine)


@pytest.fixture(scope="module")
def person() -> LumbarPerson:
    return make_lumbar(41, HEALTHY)


@pytest.fixture(scope="module")
def truth(person: LumbarPerson) -> Image:
    return truth_of(person)


def test_every_disc_is_found_where_it_is(person: LumbarPerson, truth: Image) -> None:
    found = name_discs(truth, find_discs(truth))
    assert why_not_lumbar(truth, found) == ""
    there = person.discs()
    assert [disc.name for disc in found[:5]] == ["L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2"]
    for disc in found[:5]:
        assert disc.name is not None
        near = 8.0 if disc.name == "L5/S1" else 4.0  # the lowest is a wedge
        assert np.linalg.norm(disc.centre - there[disc.name]) < near
        assert 0 < disc.probability < 1


def test_the_order_of_voxels_does_not_matter(truth: Image) -> None:
    other = reorient(truth, "SAL")
    for one, two in zip(find_discs(truth), find_discs(other), strict=True):
        np.testing.assert_allclose(one.centre, two.centre, atol=1e-6)
        assert one.height_mm == pytest.approx(two.height_mm)


def test_heights_follow_those_of_the_discs(person: LumbarPerson, truth: Image) -> None:
    told = [
        v.disc.height + 0.6 * v.concavity + 0.6 * w.concavity
        for v, w in zip(person.vertebrae[1:5], person.vertebrae[:4], strict=True)
    ]
    for disc, height in zip(find_discs(truth)[1:5], told, strict=True):
        assert disc.height_mm == pytest.approx(height, rel=0.35)


def test_without_sacrum_nothing_is_named(truth: Image) -> None:
    cut = truth.with_data(np.where(truth.data == SACRUM, 0, truth.data))
    assert {disc.name for disc in name_discs(cut, find_discs(cut))} == {None}
    assert "sacrum is not in view" in why_not_counted(cut, find_discs(cut))
    upper = Image(truth.data[:, :, 75:], truth.affine)
    assert {disc.name for disc in name_discs(upper, find_discs(upper))} == {None}


def test_above_a_missing_disc_nothing_is_named(truth: Image) -> None:
    discs = find_discs(truth)
    lost = truth.with_data(np.where(discs[2].mask, 1, truth.data))
    names = [disc.name for disc in name_discs(lost, find_discs(lost))]
    assert names[:2] == ["L5/S1", "L4/L5"]
    assert set(names[2:]) == {None}


def test_a_flat_lowest_disc_may_be_a_transitional_one(truth: Image) -> None:
    discs = find_discs(truth)
    flat = [replace(discs[0], height_mm=0.3 * discs[1].height_mm), *discs[1:]]
    assert {disc.name for disc in name_discs(truth, flat)} == {None}
    assert "transitional" in why_not_counted(truth, flat)
    assert why_not_counted(truth, discs) == ""


def test_a_disc_within_the_sacrum_makes_the_count_doubtful(truth: Image) -> None:
    """A first sacral vertebra that is half free has a disc below it, and sacrum on both sides."""
    lowest = find_discs(truth)[0]
    points = grid_points(truth.shape, truth.affine) - lowest.centre
    on_top = (points @ lowest.way > 0) & (np.linalg.norm(points, axis=-1) < 1.5 * TO_SACRUM_MM)
    fused = truth.with_data(np.where(on_top & (truth.data == VERTEBRAE), SACRUM, truth.data))
    discs = find_discs(fused)
    assert "within the sacrum" in why_not_counted(fused, discs)
    assert {disc.name for disc in name_discs(fused, discs)} == {None}


def test_a_neck_is_refused_by_its_size(truth: Image) -> None:
    half = truth.affine.copy()
    half[:3] *= 0.5
    small = Image(truth.data, half)
    assert "expected" in why_not_lumbar(small, find_discs(small))
    nothing = truth.with_data(np.zeros_like(truth.data))
    assert "0 discs" in why_not_lumbar(nothing, find_discs(nothing))
    dry = truth.with_data(np.where(truth.data == CANAL, 0, truth.data))
    assert "canal" in why_not_lumbar(dry, find_discs(dry))


def test_what_hangs_together_with_nothing_is_dropped(truth: Image) -> None:
    spotted = truth.data.copy()
    spotted[2:5, -12:-4, 10:20] = DISCS
    assert (clean_spine(truth.with_data(spotted)).data[2:5, -12:-4, 10:20] == 0).all()
    kept = clean_spine(truth).data
    assert (kept == truth.data).mean() > 0.995
    assert (clean_spine(truth.with_data(0 * truth.data)).data == 0).all()


def test_the_table_says_what_is_there(person: LumbarPerson, truth: Image) -> None:
    signal = np.select([truth.data == DISCS, truth.data == CANAL], [30.0, 60.0], 0.0)
    discs = name_discs(truth, find_discs(truth))
    table = measure_lumbar(truth, discs, truth.with_data(signal.astype(np.float32)))
    whole = table[table["disc_height_mm"].isna()].set_index("structure")
    assert list(whole.index) == list(STRUCTURES[1:])
    for value, name in structure_labels().items():
        there = float((truth.data == int(value)).sum()) * truth.voxel_volume
        assert whole.loc[name, "volume_mm3"] == pytest.approx(there)
    fat, muscle = whole.loc["intramuscular fat", "volume_mm3"], whole.loc["muscle", "volume_mm3"]
    assert whole.loc["muscle", "fat_percent"] == pytest.approx(100 * fat / (fat + muscle))
    each = table[table["disc_height_mm"].notna()].set_index("level")
    assert each.loc["L4/L5", "disc_signal_ratio"] == pytest.approx(0.5)
    usual = np.pi * 9.5 * person.habitus.sac / 2  # an ellipse
    assert each.loc["L3/L4", "canal_area_mm2"] == pytest.approx(usual, rel=0.25)
    without = measure_lumbar(truth, discs, None)
    assert without["disc_signal_ratio"].isna().all()


def test_a_narrow_canal_measures_less(person: LumbarPerson, truth: Image) -> None:
    narrow = truth_of(replace(person, narrow={1: 0.5}))
    areas = [
        measure_lumbar(image, name_discs(image, find_discs(image)), None)
        .dropna(subset="level")
        .set_index("level")["canal_area_mm2"]
        for image in (truth, narrow)
    ]
    assert areas[1]["L4/L5"] < 0.85 * areas[0]["L4/L5"]
    assert areas[1]["L2/L3"] == pytest.approx(areas[0]["L2/L3"], rel=0.05)


def test_where_no_canal_is_seen_its_area_is_unknown(truth: Image) -> None:
    without = truth.with_data(np.where(truth.data == CANAL, 0, truth.data))
    table = measure_lumbar(without, find_discs(truth), truth)
    discs = table[table["disc_height_mm"].notna()]
    assert len(discs)
    assert discs[["canal_area_mm2", "disc_signal_ratio"]].isna().all(axis=None)
