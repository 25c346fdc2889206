"""Transforms by one landmark, against ANTs itself and nitransforms, and there and back."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nitransforms.linear import Affine as TheirAffine
from nitransforms.nonlinear import DenseFieldTransform
from nitransforms.resampling import apply
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.errors import InputError
from spinalprep.image import Image, grid_points, to_voxel, to_world
from spinalprep.registration.ants_arrays import ants, from_ants, to_ants
from spinalprep.registration.resampling import inside, resample_through
from spinalprep.registration.transform import (
    Affine,
    Chain,
    Field,
    as_field,
    balanced,
    jacobian_determinant,
    read_itk,
    write_itk,
)


def _affine(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> Affine:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return Affine(matrix)


def _oblique(sizes: tuple[float, float, float], origin: tuple[float, ...]) -> np.ndarray:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (5, 10, -7), degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([-sizes[0], sizes[1], sizes[2]])
    affine[:3, 3] = origin
    return affine


MOVING = Image(
    100 * ndimage.gaussian_filter(np.random.default_rng(0).random((40, 36, 30)), 1.5),
    _oblique((1.0, 1.2, 2.0), (20, -15, -30)),
)
GRID = (30, 32, 28), np.array([[-1.3, 0, 0, 15], [0, 1.1, 0, -10], [0, 0, 1.6, -20], [0, 0, 0, 1]])
OBLIQUE = (28, 30, 24), _oblique((1.2, 1.0, 1.5), (16, -12, -22))
TURN = _affine((8, -4, 6), (3, -2, 4))


def _wavy() -> Field:
    """A smooth displacement of up to 3 mm, with a different one along each axis."""
    shape, affine = (12, 12, 12), np.diag([-5.0, 5, 5, 1])
    affine[:3, 3] = 28, -28, -28
    points = grid_points(shape, affine)
    waves = np.stack([3 * np.sin(points[..., (axis + 1) % 3] / 12 + axis) for axis in range(3)], -1)
    return Field(waves.astype(np.float32), affine)


def test_t1w_to_t2w_moves_a_landmark_the_right_way() -> None:
    """The same dot lies at (3, -4, 5) in T1w and at (1, 2, 3) in T2w."""
    t1w_point, t2w_point = np.array([3.0, -4, 5]), np.array([1.0, 2, 3])
    affine = np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = 10, -10, -10
    t1w = Image(np.zeros((21, 21, 21), np.float32), affine)
    t1w.data[tuple(np.rint(to_voxel(t1w_point, affine)).astype(int))] = 1
    matrix = np.eye(4)
    matrix[:3, 3] = t1w_point - t2w_point
    t1w_to_t2w = Affine(matrix)
    np.testing.assert_allclose(t1w_to_t2w.apply(t2w_point), t1w_point)
    in_t2w = resample_through(t1w, t1w_to_t2w, (t1w.shape, affine))
    found = to_world(np.argwhere(in_t2w.data > 0.5)[0].astype(float), affine)
    np.testing.assert_allclose(found, t2w_point)


def test_images_go_to_ants_and_back_unchanged() -> None:
    back = from_ants(to_ants(MOVING))
    np.testing.assert_allclose(back.affine, MOVING.affine, atol=1e-12)
    np.testing.assert_array_equal(back.data, MOVING.data.astype(np.float32))


def test_ants_sees_a_voxel_where_we_do() -> None:
    """ANTs' physical point (LPS) of a voxel is our RAS+ point with two signs turned."""
    point = to_world(np.array([3.0, 5, 7]), MOVING.affine)
    volume = to_ants(MOVING)
    theirs = ants.transform_index_to_physical_point(volume, [3, 5, 7])
    np.testing.assert_allclose(theirs, point * [-1, -1, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("transform", "name"),
    [
        (TURN, "a.txt"),
        (TURN, "a.tfm"),
        (_wavy(), "a.nii.gz"),
        (as_field(Chain((_wavy(), TURN)), *GRID), "a.nii.gz"),
    ],
)
def test_ants_applies_our_files_as_we_do(
    tmp_path: Path, transform: Affine | Field, name: str
) -> None:
    path = write_itk(transform, tmp_path / name)
    fixed = to_ants(Image(np.zeros(GRID[0], np.float32), GRID[1]))
    theirs = from_ants(ants.apply_transforms(fixed, to_ants(MOVING), [str(path)]))
    ours = resample_through(MOVING, read_itk(path), GRID)
    seen = inside(read_itk(path), MOVING, GRID).data > 0
    assert seen.mean() > 0.3
    np.testing.assert_allclose(ours.data[seen], theirs.data[seen], atol=1e-3)
    assert not ours.data[~seen].any()
    still = resample_through(MOVING, Affine.identity(), GRID)
    assert np.abs(still.data - theirs.data)[seen].max() > 1


def _read_theirs(path: Path, reference: nib.Nifti1Image) -> TheirAffine | DenseFieldTransform:
    """Read a file of ours with nitransforms, as a map from the grid's points."""
    if path.suffix == ".txt":
        return TheirAffine.from_filename(path, fmt="itk", reference=reference)
    return DenseFieldTransform.from_filename(path, fmt="itk")


@pytest.mark.parametrize("grid", [GRID, OBLIQUE], ids=["LAS", "oblique"])
@pytest.mark.parametrize("kind", ["affine", "field"])
def test_points_and_images_go_where_nitransforms_takes_them(
    kind: str, grid: tuple[tuple[int, int, int], np.ndarray], tmp_path: Path
) -> None:
    ours: Affine | Field = TURN
    path = tmp_path / "xfm.txt"
    if kind == "field":
        made = as_field(Chain((_wavy(), TURN)), *grid)
        assert isinstance(made, Field)
        ours, path = made, tmp_path / "xfm.nii.gz"
    reference = nib.Nifti1Image(np.zeros(grid[0], np.uint8), grid[1])
    theirs = _read_theirs(write_itk(ours, path), reference)

    ijk = np.random.default_rng(1).uniform(1, np.array(grid[0]) - 2, (400, 3))
    ijk = np.rint(ijk) if kind == "field" else ijk  # between them theirs is cubic, ours as ITK's
    points = to_world(ijk, grid[1])
    assert np.linalg.norm(ours.apply(points) - points, axis=1).max() > 4
    np.testing.assert_allclose(theirs.map(points), ours.apply(points), atol=2e-3)

    image = nib.Nifti1Image(MOVING.data.astype(np.float32), MOVING.affine)
    moved = apply(theirs, image, reference=reference, order=1)
    expected = resample_through(MOVING, ours, grid)
    there = to_voxel(ours.apply(grid_points(*grid)), MOVING.affine)
    seen = ((there > 0) & (there < np.array(MOVING.shape) - 1)).all(axis=-1)  # theirs ends there
    assert seen.mean() > 0.3
    np.testing.assert_allclose(np.asarray(moved.dataobj)[seen], expected.data[seen], atol=0.02)
    still = resample_through(MOVING, Affine.identity(), grid)
    assert np.abs(still.data - expected.data)[seen].max() > 1


@pytest.mark.parametrize(("transform", "name"), [(TURN, "a.txt"), (_wavy(), "a.nii.gz")])
def test_written_and_read_again(tmp_path: Path, transform: Affine | Field, name: str) -> None:
    again = read_itk(write_itk(transform, tmp_path / name))
    points = np.random.default_rng(1).uniform(-20, 20, (100, 3))
    np.testing.assert_allclose(again.apply(points), transform.apply(points), atol=6e-4)


def test_affine_that_ants_wrote_with_a_centre(tmp_path: Path) -> None:
    centre, shift = np.array([4.0, 5, 6]), np.array([1.0, 2, 3])
    turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    made = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, matrix=turn, translation=shift, center=centre
    )
    path = tmp_path / "a.mat"
    ants.write_transform(made, str(path))
    ours = read_itk(path)
    lps = np.array([-1.0, -1, 1])
    for point in ([0.0, 0, 0], [10.0, -3, 7]):
        theirs = ants.apply_ants_transform_to_point(made, point)
        np.testing.assert_allclose(ours.apply(np.array(point) * lps), theirs * lps, atol=1e-4)


MATLAB_4 = np.array([0, 3, 4, 0, 2**31 - 1], "<i4").tobytes()  # a name of 2 GB


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"nothing"),
        ("a.txt", b"\xff\xfe\0"),
        ("a.nii", b""),
        ("a.nii.gz", b"\x1f"),
        ("a.nii.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff"),
        ("a.mat", b""),
        ("a.mat", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\x0f\0\0\0\4\0\0\0abcd"),
        ("a.mat", MATLAB_4),
        ("a.mat", MATLAB_4[:16] + b"\0" * 4),
        ("none.txt", None),
    ],
)
def test_what_is_no_transform(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="can't be read as a transform") as error:
        read_itk(path)
    assert "\n" not in str(error.value)


def test_affine_inverse_and_chain_order() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    np.testing.assert_allclose(Chain((TURN, TURN.inverse())).apply(points), points, atol=1e-9)
    stretch = Affine(np.diag([2.0, 1, 1, 1]))
    shift = Affine(np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    np.testing.assert_allclose(Chain((stretch, shift)).apply(np.array([1.0, 0, 0])), [7, 0, 0])
    np.testing.assert_allclose(Chain((shift, stretch)).apply(np.array([1.0, 0, 0])), [12, 0, 0])


def test_field_is_exact_at_its_voxels_and_constant_outside() -> None:
    field = as_field(TURN, (6, 6, 6), np.diag([4.0, 4, 4, 1]))
    points = grid_points((6, 6, 6), field.affine)
    np.testing.assert_allclose(field.apply(points), TURN.apply(points), atol=1e-5)
    edge, beyond = np.array([20.0, 8, 8]), np.array([60.0, 8, 8])
    np.testing.assert_allclose(field.apply(beyond) - beyond, field.apply(edge) - edge, atol=1e-5)


def test_balanced_field_misses_less_between_its_points() -> None:
    @dataclass(frozen=True)
    class Bent:
        def apply(self, points: np.ndarray) -> np.ndarray:
            return points + 0.5 * np.sin(points[..., ::-1] / 1.5)

    affine = np.diag([0.7, 0.7, 1.0, 1.0])
    exact = as_field(Bent(), (40, 40, 30), affine)
    near = np.array([[14.0, 14.0, z] for z in np.linspace(5, 25, 21)])
    shared = balanced(exact, Bent(), near)
    points = np.random.default_rng(0).uniform([9, 9, 8], [19, 19, 22], (2000, 3))
    off = [np.linalg.norm(f.apply(points) - Bent().apply(points), axis=1) for f in (exact, shared)]
    assert off[1].max() < 0.75 * off[0].max()
    assert off[1].mean() < 0.6 * off[0].mean()
    np.testing.assert_array_equal(shared.displacement[0], exact.displacement[0])


@pytest.mark.parametrize("axes", [np.eye(3), np.diag([-1, 1, 1]), np.eye(3)[[2, 0, 1]]])
def test_jacobian_of_known_maps(axes: np.ndarray) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 2 * axes
    for matrix in (np.diag([1.5, 0.8, 1.1, 1]), TURN.matrix):
        field = as_field(Affine(matrix), (5, 6, 7), affine)
        np.testing.assert_allclose(
            jacobian_determinant(field), np.linalg.det(matrix[:3, :3]), rtol=1e-4
        )


def test_inside_says_what_the_image_covers() -> None:
    image = Image(np.ones((4, 4, 4), np.float32), np.eye(4))
    shift = Affine(np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    covered = inside(shift, image, ((4, 4, 4), np.eye(4)))
    assert covered.data[:, 0, 0].tolist() == [1, 1, 0, 0]
