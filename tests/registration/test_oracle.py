"""The transforms that are written, as nitransforms reads and applies them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nitransforms.linear import Affine as TheirAffine
from nitransforms.nonlinear import DenseFieldTransform
from nitransforms.resampling import apply
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, grid_points, to_voxel, to_world
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.transform import Affine, Chain, Field, as_field, write_itk

Grid = tuple[tuple[int, int, int], np.ndarray]


def oblique(sizes: tuple[float, float, float], origin: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (5, 10, -7), degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([-sizes[0], sizes[1], sizes[2]])
    affine[:3, 3] = origin
    return affine


MOVING = Image(
    100 * ndimage.gaussian_filter(np.random.default_rng(0).random((40, 36, 30)), 1.5),
    oblique((1.0, 1.2, 2.0), (20, -15, -30)),
)
GRIDS: dict[str, Grid] = {
    "LAS": (
        (30, 32, 28),
        np.array([[-1.3, 0, 0, 15], [0, 1.1, 0, -10], [0, 0, 1.6, -20], [0, 0, 0, 1]]),
    ),
    "oblique": ((28, 30, 24), oblique((1.2, 1.0, 1.5), (16, -12, -22))),
}


def turn() -> Affine:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (8, -4, 6), degrees=True).as_matrix() * 1.05
    matrix[:3, 3] = 3, -2, 4
    return Affine(matrix)


def waves() -> Field:
    """Up to 3 mm, another wave along each axis."""
    shape, affine = (12, 12, 12), np.diag([-5.0, 5, 5, 1])
    affine[:3, 3] = 28, -28, -28
    points = grid_points(shape, affine)
    bent = np.stack([3 * np.sin(points[..., (axis + 1) % 3] / 12 + axis) for axis in range(3)], -1)
    return Field(bent.astype(np.float32), affine)


def as_nibabel(image: Image) -> nib.nifti1.Nifti1Image:
    return nib.nifti1.Nifti1Image(image.data.astype(np.float32), image.affine)


def read_theirs(path: Path, grid: Grid) -> TheirAffine | DenseFieldTransform:
    """Read a file of ours with nitransforms, as a map from the grid's points."""
    reference = nib.nifti1.Nifti1Image(np.zeros(grid[0], np.uint8), grid[1])
    if path.suffix == ".txt":
        return TheirAffine.from_filename(path, fmt="itk", reference=reference)
    return DenseFieldTransform.from_filename(path, fmt="itk")


@pytest.mark.parametrize("where", GRIDS)
@pytest.mark.parametrize("kind", ["affine", "field"])
def test_points_and_images_go_where_nitransforms_takes_them(
    kind: str, where: str, tmp_path: Path
) -> None:
    grid = GRIDS[where]
    ours: Affine | Field = turn()
    path = tmp_path / "xfm.txt"
    if kind == "field":
        made = as_field(Chain((waves(), turn())), *grid)
        assert isinstance(made, Field)
        ours, path = made, tmp_path / "xfm.nii.gz"
    theirs = read_theirs(write_itk(ours, path), grid)

    ijk = np.random.default_rng(1).uniform(1, np.array(grid[0]) - 2, (400, 3))
    ijk = np.rint(ijk) if kind == "field" else ijk  # between them theirs is cubic, ours as ITK's
    points = to_world(ijk, grid[1])
    assert np.linalg.norm(ours.apply(points) - points, axis=1).max() > 4
    np.testing.assert_allclose(theirs.map(points), ours.apply(points), atol=2e-3)

    moved = apply(theirs, as_nibabel(MOVING), reference=read_reference(grid), order=1)
    expected = resample_through(MOVING, ours, grid)
    there = to_voxel(ours.apply(grid_points(*grid)), MOVING.affine)
    seen = ((there > 0) & (there < np.array(MOVING.shape) - 1)).all(axis=-1)  # theirs ends there
    assert seen.mean() > 0.3
    np.testing.assert_allclose(np.asarray(moved.dataobj)[seen], expected.data[seen], atol=0.02)
    still = resample_through(MOVING, Affine.identity(), grid)
    assert np.abs(still.data - expected.data)[seen].max() > 1


def read_reference(grid: Grid) -> nib.nifti1.Nifti1Image:
    return nib.nifti1.Nifti1Image(np.zeros(grid[0], np.uint8), grid[1])
