"""Training material that nobody labelled by hand: digital persons, and images without a cord."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spinalprep.image import Image, grid_points, load, reorient, to_world
from spinalprep.networks.cascade import find_cord
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, GM, TISSUES, make_person
from spinalprep.phantom.images import render

PHANTOMS = 8  # seeds 0 to 7, far below the reserved ones
PHANTOM_SHAPE, PHANTOM_SPACING = (150, 150, 24), (0.5, 0.5, 6.0)
PHANTOM_CONTRASTS = ("T2w", "T1w", "T2starw", "MTS")
CORD_TISSUES = ("white matter", "grey matter", "lesion")
UNLABELLED = ("lumbar", "mt", "mts01", "mts03")  # healthy people whose cord nobody drew
CANAL_MM = 5.0  # radius of the disc that stands for the canal below the conus

# Middle of the canal of sub-lumbar below its conus, RAS+ mm, marked by eye from z -427 (the cord
# ends at about -407) down to the lowest slice: nerve roots in bright fluid, no cord.
CAUDA_EQUINA = np.array(
    [
        [14.8, -67.9, -427.3],
        [15.8, -65.9, -437.3],
        [16.8, -62.9, -452.3],
        [16.8, -60.9, -467.3],
        [17.8, -59.9, -482.3],
        [17.8, -57.9, -497.3],
        [17.8, -55.9, -512.3],
    ]
)


def digital_volumes() -> Iterator[tuple[Image, Image, Image]]:
    """Yield image, share of cord and share of grey matter of digital persons, LAS.

    Contrasts take turns; truth is the share of each voxel, so that areas are unbiased.
    """
    affine = np.diag([-PHANTOM_SPACING[0], *PHANTOM_SPACING[1:], 1.0])
    middle = affine[:3, :3] @ ((np.array(PHANTOM_SHAPE) - 1) / 2)
    affine[:3, 3] = np.array([0.0, 4.0, 0.0]) - middle
    cord = [TISSUES.index(name) for name in CORD_TISSUES]
    for seed in range(PHANTOMS):
        assert seed < FIRST_TEST_SEED
        person = make_person(seed, head=False)  # as the shipped weights were taught
        contrast = PHANTOM_CONTRASTS[seed % len(PHANTOM_CONTRASTS)]
        image = render(person, contrast, (PHANTOM_SHAPE, affine), seed, noise=0.015)
        shares = person.labels_on(PHANTOM_SHAPE, affine, fine=3)
        yield image, image.with_data(shares[cord].sum(axis=0)), image.with_data(shares[GM])


def automatic_volumes(raw: Path) -> Iterator[tuple[str, Image, Image]]:
    """Yield person, image and the packaged networks' cord where nobody drew one, LAS.

    Parameters
    ----------
    raw : Path
        The BIDS folder with ``UNLABELLED``; who is missing there is left out.
    """
    for person in UNLABELLED:
        for path in sorted(raw.glob(f"sub-{person}/anat/*.nii.gz")):
            image = reorient(load(path))
            yield person, image, automatic_cord(image)


def automatic_cord(image: Image) -> Image:
    """Return the mask of the packaged networks as float32; LAS.

    Raises
    ------
    NoCordError
        If they see none.
    """
    cord = find_cord(image, load_model("centerline"), load_model("cord"), views=1).cord
    return cord.with_data(cord.data.astype(np.float32))


def cauda_equina(raw: Path) -> tuple[Image, Image] | None:
    """Return an image below the conus and a mask of its canal; None where the image is missing.

    Parameters
    ----------
    raw : Path
        The BIDS folder that holds ``sub-lumbar``.
    """
    path = raw / "sub-lumbar" / "anat" / "sub-lumbar_T2w.nii.gz"
    if not path.is_file():
        return None
    image = reorient(load(path))
    order = np.argsort(CAUDA_EQUINA[:, 2])
    points = grid_points(image.shape, image.affine)
    x, y = (
        np.interp(points[..., 2], CAUDA_EQUINA[order, 2], CAUDA_EQUINA[order, axis])
        for axis in (0, 1)
    )
    canal = np.hypot(points[..., 0] - x, points[..., 1] - y) <= CANAL_MM
    canal &= points[..., 2] <= CAUDA_EQUINA[:, 2].max()
    top = int(np.flatnonzero(canal.any(axis=(0, 1))).max())
    affine = image.affine @ np.diag([1.0, 1.0, 4.0, 1.0])  # every fourth slice of 1 mm
    affine[:3, 3] = to_world(np.zeros(3), image.affine)
    part = slice(0, top + 1, 4)
    return Image(image.data[:, :, part], affine), Image(
        canal[:, :, part].astype(np.float32), affine
    )
