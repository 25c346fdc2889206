"""Lesions of several images of a session are joined."""

from pathlib import Path

import numpy as np
import pytest

from spinalprep.image import Image, to_voxel, to_world
from spinalprep.lesion.aligned import AlignedLesions, OwnLesions, align_lesions
from spinalprep.lesion.calling import CalledLesions, LesionRule
from spinalprep.lesion.evidence import Evidence
from spinalprep.lesion.files import read_aligned, write_aligned
from spinalprep.lesion.fusion import JoinedLesions, highest, join_lesions, mean, seen_table
from spinalprep.lesion.instances import lesion_volumes
from spinalprep.registration.transform import Affine

SAGITTAL, AXIAL = (3.3, 0.7, 0.7), (0.5, 0.5, 5.0)  # voxels in mm
EXTENT_MM = (30.0, 24.0, 80.0)
SHOWN = Evidence(0.5, 9.0, 5.0, 40)
Ball = tuple[tuple[float, float, float], tuple[float, float, float]]  # center, half axes in mm
LEFT = ((-3.0, 0.5, 10.0), (1.7, 1.5, 4.0))
RIGHT = ((3.0, 0.5, 10.0), (1.7, 1.5, 4.0))
LOW = ((0.0, -2.0, -22.0), (1.7, 1.5, 5.0))
BEYOND = ((0.0, 0.0, 36.0), (1.7, 1.5, 3.0))


def blank(voxels: tuple[float, float, float], top: float = 40.0, bottom: float = -40.0) -> Image:
    """Return an empty LAS grid around the origin, between two heights."""
    size = np.array([EXTENT_MM[0], EXTENT_MM[1], top - bottom])
    shape = np.round(size / voxels).astype(int)
    affine = np.diag([-voxels[0], voxels[1], voxels[2], 1.0])
    affine[:3, 3] = np.array([0.0, 0.0, (top + bottom) / 2]) - affine[:3, :3] @ ((shape - 1) / 2)
    return Image(np.zeros(shape, np.float32), affine)


def filled(like: Image, *bodies: Ball) -> np.ndarray:
    """Return the number of the body that fills most of a voxel, if half of it or more."""
    steps = (np.arange(5) + 0.5) / 5 - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 1, 3)
    labels = np.zeros(like.shape, np.int32)
    for number, (centre, half) in enumerate(bodies, start=1):
        reach = np.array(half) / like.voxel_sizes + 1
        middle = to_voxel(np.array(centre), like.affine)
        low = np.maximum(np.floor(middle - reach), 0).astype(int)
        high = np.minimum(np.ceil(middle + reach) + 1, like.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        ijk = np.indices(tuple(high - low)).reshape(3, -1).T + low
        points = to_world(ijk[None] + offsets, like.affine)
        inside = (((points - np.array(centre)) / half) ** 2).sum(axis=-1) <= 1
        labels[box][(inside.mean(axis=0) >= 0.5).reshape(tuple(high - low))] = number
    return labels


def cord_of(like: Image) -> Image:
    ijk = np.indices(like.shape).reshape(3, -1).T.astype(float)
    points = to_world(ijk, like.affine)
    inside = (points[:, 0] / 7) ** 2 + (points[:, 1] / 5) ** 2 <= 1
    return like.with_data(inside.reshape(like.shape))


def seen(like: Image, *bodies: Ball, sure: float = 1.0) -> OwnLesions:
    """Return what an image of these voxels shows of some bodies."""
    labels = filled(like, *bodies)
    order = np.argsort([-(labels == n + 1).sum() for n in range(len(bodies))])
    number = np.zeros(len(bodies) + 1, np.int32)
    number[order + 1] = np.arange(1, len(bodies) + 1)
    soft = like.with_data((sure * (labels > 0)).astype(np.float32))
    called = CalledLesions(number[labels], (SHOWN,) * len(bodies), np.zeros_like(labels))
    return OwnLesions(soft, cord_of(like), called)


def own(name: str, found: OwnLesions) -> AlignedLesions:
    """Return the lesions of the reference itself."""
    everywhere = np.ones(found.cord.shape, bool)
    soft = found.soft.data.astype(np.float32)
    return AlignedLesions(name, soft, everywhere, found.called.labels, found.called.evidence)


def joined(
    reference: OwnLesions, *others: OwnLesions, fusion: str = "union", shift: float = 0.0
) -> JoinedLesions:
    """Join images A (the reference), B, C; their bodies moved by a shift that the fit undoes."""
    move = np.eye(4)
    move[2, 3] = shift
    aligned = [
        align_lesions(name, other, Affine(move), reference.cord)
        for name, other in zip("BC", others, strict=False)
    ]
    return join_lesions([own("A", reference), *aligned], reference.cord, LesionRule(), fusion)


@pytest.mark.parametrize(("first", "second"), [(SAGITTAL, AXIAL), (AXIAL, SAGITTAL)])
@pytest.mark.parametrize("fusion", ["union", "mean"])
def test_one_lesion_in_two_ways_of_slicing_is_one(
    first: tuple[float, float, float], second: tuple[float, float, float], fusion: str
) -> None:
    reference = seen(blank(first), LOW)
    found = joined(reference, seen(blank(second), LOW), fusion=fusion)
    assert found.labels.max() == 1
    assert [(one.seen_in, one.not_seen_in) for one in found.lesions] == [(("A", "B"), ())]


def test_lesions_that_only_touch_are_one_and_others_are_two() -> None:
    grid = blank(AXIAL)
    ends = [((0.0, 0.0, z), (2.0, 2.0, 6.0)) for z in (-10.0, 1.0, 30.0)]
    touching = joined(seen(grid, ends[0]), seen(blank(SAGITTAL), ends[1]))
    assert [one.seen_in for one in touching.lesions] == [("A", "B")]
    apart = joined(seen(grid, ends[0]), seen(blank(SAGITTAL), ends[2]))
    assert sorted(one.seen_in for one in apart.lesions) == [("A",), ("B",)]


def test_lesions_beside_each_other_stay_two() -> None:
    found = joined(seen(blank(AXIAL), LEFT, RIGHT), seen(blank(SAGITTAL), LEFT, RIGHT))
    assert [one.seen_in for one in found.lesions] == [("A", "B"), ("A", "B")]
    blurred = ((0.0, 0.5, 10.0), (6.0, 1.5, 4.0))  # the other image does not keep them apart
    found = joined(seen(blank(AXIAL), LEFT, RIGHT), seen(blank(SAGITTAL), blurred))
    assert [one.seen_in for one in found.lesions] == [("A", "B"), ("A", "B")]


@pytest.mark.parametrize("voxels", [SAGITTAL, AXIAL])
def test_a_lesion_that_only_the_other_image_shows_keeps_place_and_volume(
    voxels: tuple[float, float, float],
) -> None:
    other = AXIAL if voxels == SAGITTAL else SAGITTAL
    shown = seen(blank(other), LEFT, LOW)
    found = joined(seen(blank(voxels), LEFT), shown)
    (only,) = [n for n, one in enumerate(found.lesions, start=1) if one.seen_in == ("B",)]
    assert found.lesions[only - 1].not_seen_in == ("A",)
    like = blank(voxels)
    ijk = np.argwhere(found.labels == only)
    assert np.allclose(to_world(ijk.astype(float), like.affine).mean(axis=0), LOW[0], atol=1.2)
    volumes = lesion_volumes(shown.probability.with_data(shown.called.labels))
    low = max(volumes)  # the longer one
    assert len(ijk) * like.voxel_volume == pytest.approx(low, rel=0.08)


def test_a_lesion_out_of_view_is_said_and_has_no_row() -> None:
    reference = seen(blank(AXIAL, top=25.0), LOW)
    aligned = align_lesions("B", seen(blank(SAGITTAL), BEYOND), Affine.identity(), reference.cord)
    assert not aligned.labels.any()
    assert aligned.beyond_mm3 == (pytest.approx(32.0, rel=0.35),)
    found = join_lesions([own("A", reference), aligned], reference.cord, LesionRule(), "union")
    assert [one.seen_in for one in found.lesions] == [("A",)]
    assert found.lesions[0].not_seen_in == ("B",)


def test_an_image_that_does_not_reach_a_lesion_does_not_deny_it() -> None:
    short = seen(blank(AXIAL, top=25.0, bottom=-10.0), LEFT)
    found = joined(seen(blank(SAGITTAL), LEFT, LOW), short)
    assert {one.seen_in: one.not_seen_in for one in found.lesions} == {
        ("A", "B"): (),
        ("A",): (),
    }


def test_a_cord_that_is_not_shown_is_not_covered() -> None:
    other = seen(blank(SAGITTAL), LEFT)
    part = other.cord.data.copy()
    part[:, :, :40] = False
    short = OwnLesions(other.probability, other.cord.with_data(part), other.called)
    aligned = align_lesions("B", short, Affine.identity(), cord_of(blank(AXIAL)))
    assert 0.4 < aligned.covered[20:40, 14:30].mean() < 0.75


def test_the_way_between_the_images_is_followed() -> None:
    moved = (*LOW[0][:2], LOW[0][2] + 12.0), LOW[1]
    found = joined(seen(blank(SAGITTAL), LOW), seen(blank(AXIAL), moved), shift=12.0)
    assert [one.seen_in for one in found.lesions] == [("A", "B")]


def test_three_images_share_what_only_two_show() -> None:
    others = seen(blank(AXIAL), LOW), seen(blank((0.7, 0.7, 5.0)), LOW)
    found = joined(seen(blank(SAGITTAL), LEFT), *others)
    assert sorted((one.seen_in, one.not_seen_in) for one in found.lesions) == [
        (("A",), ("B", "C")),
        (("B", "C"), ("A",)),
    ]


def test_maps_are_joined_where_images_have_something_to_say() -> None:
    shape = 1, 1, 4
    soft = np.array([[0.2, 0.8, 0.6, 0.9], [0.6, 0.4, 1.0, 0.9]], np.float32).reshape(2, *shape)
    covered = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool).reshape(2, *shape)
    assert highest(soft, covered).ravel() == pytest.approx([0.6, 0.8, 0.6, 0.0])
    assert mean(soft, covered).ravel() == pytest.approx([0.4, 0.6, 0.6, 0.0])


def test_the_mean_asks_all_images_that_cover_a_place() -> None:
    grid = blank(AXIAL)
    assert not joined(seen(grid, LOW), seen(blank(SAGITTAL)), fusion="mean").lesions
    short = seen(blank(AXIAL, top=25.0, bottom=-10.0))
    assert [x.seen_in for x in joined(seen(grid, LOW), short, fusion="mean").lesions] == [("A",)]


def test_the_mean_needs_seven_tenths_of_the_threshold() -> None:
    def found(sure: float) -> int:
        pair = (seen(blank(AXIAL), LOW, sure=sure) for _ in range(2))
        return len(joined(*pair, fusion="mean").lesions)

    assert LesionRule().threshold == 0.9
    assert (found(0.8), found(0.6)) == (1, 0)  # voxels at the faces of a lesion have less


def test_a_lesion_of_two_images_goes_as_far_as_both_have_it() -> None:
    grid = blank(AXIAL)
    (middle, half) = LOW
    moved = (np.asarray(middle) + np.array([1.5, 0.0, 0.0]), half)
    alone, both = joined(seen(grid, LOW)), joined(seen(grid, LOW), seen(grid, moved))
    assert len(both.lesions) == 1
    assert both.lesions[0].seen_in == ("A", "B")
    shared = (filled(grid, LOW) > 0) & (filled(grid, moved) > 0)
    assert 0 < shared.sum() < (alone.labels > 0).sum()
    assert np.array_equal(both.labels > 0, shared & (alone.labels > 0))
    apart = joined(seen(grid, LOW), seen(grid, LEFT))
    assert np.array_equal(apart.labels[alone.labels > 0] > 0, alone.labels[alone.labels > 0] > 0)
    assert len(apart.lesions) == 2


def test_two_images_that_share_hardly_a_voxel_leave_a_lesion_whole() -> None:
    grid = blank(AXIAL)
    (middle, half) = LOW
    moved = (np.asarray(middle) + np.array([2.5, 1.0, 0.0]), half)
    alone, both = joined(seen(grid, LOW)), joined(seen(grid, LOW), seen(grid, moved))
    shared = (filled(grid, LOW) > 0) & (filled(grid, moved) > 0)
    assert shared.sum() * np.prod(AXIAL) < LesionRule().min_mm3
    assert both.lesions[0].seen_in == ("A", "B")
    assert np.array_equal(both.labels, alone.labels)


def test_what_an_image_does_not_bear_out_is_in_no_map() -> None:
    other = seen(blank(AXIAL), LOW)
    refused = CalledLesions(np.zeros_like(other.called.labels), (), other.called.labels)
    found = joined(seen(blank(SAGITTAL), LEFT), OwnLesions(other.probability, other.cord, refused))
    assert [one.seen_in for one in found.lesions] == [("A",)]
    assert found.probability[:, :, : found.labels.shape[2] // 2].max() == 0.0


def test_the_table_names_the_images() -> None:
    found = joined(seen(blank(SAGITTAL), LEFT, LOW), seen(blank(AXIAL), LOW))
    table = seen_table(found.lesions).set_index("seen_in")
    assert table.loc["A, B", "not_seen_in"] is None
    assert table.loc["A", "not_seen_in"] == "B"
    assert (table["contrast_z"] == 9.0).all()
    assert list(seen_table(()).columns) == list(seen_table(found.lesions).columns)


def test_without_a_lesion_there_is_none() -> None:
    found = joined(seen(blank(SAGITTAL)), seen(blank(AXIAL)))
    assert found.lesions == ()
    assert not found.labels.any()
    none = align_lesions(
        "B", seen(blank(AXIAL), LOW), Affine.identity(), blank(SAGITTAL)
    )  # no cord in the reference
    assert not none.covered.any()


def test_a_file_keeps_what_images_show(tmp_path: Path) -> None:
    cord = cord_of(blank(AXIAL, top=25.0))
    shown = seen(blank(SAGITTAL), LOW, BEYOND)
    one = align_lesions("B", shown, Affine.identity(), cord)
    empty = align_lesions("C", seen(blank(SAGITTAL)), Affine.identity(), cord)
    assert one.beyond_mm3
    back = read_aligned(write_aligned([one, empty], tmp_path / "lesions.npz"))
    assert [x.name for x in back] == ["B", "C"]
    for here, there in zip(back, (one, empty), strict=True):
        for key, value in vars(there).items():
            assert np.array_equal(getattr(here, key), value), key
    first = (tmp_path / "lesions.npz").read_bytes()
    assert write_aligned([one, empty], tmp_path / "again.npz").read_bytes() == first
    assert read_aligned(write_aligned([], tmp_path / "none.npz")) == []
