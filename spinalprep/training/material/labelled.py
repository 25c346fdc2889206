"""Volumes of a dataset: what people drew, and what stands in where nobody could."""

from collections.abc import Iterator

import numpy as np

from spinalprep.bids.names import ImageName
from spinalprep.image import Image, grid_points, load, reorient, to_world
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.hemis import contrast_of
from spinalprep.networks.weights import load_model
from spinalprep.training.material.dataset import Canal, LabelledDataset, Participant
from spinalprep.training.material.volume import LabelledVolume

CANAL_RADIUS_MM = 5.0  # of the disc that stands for the canal below the conus
CANAL_EVERY = 4  # slices: one of this many


def labelled_volumes(dataset: LabelledDataset) -> Iterator[LabelledVolume]:
    """Yield what people drew; where that is lesions alone, with the packaged networks' cord."""
    for part, case in ((owner, case) for owner in dataset.parts for case in owner.cases()):
        image = reorient(load(case.image))
        drawn = {role: case.read(role, image) for role in case.truth}
        if not {"cord", "gm"} & set(drawn):
            drawn["cord"] = automatic_cord(image)  # lesions lie in a cord
        yield LabelledVolume(
            case.person,
            image,
            drawn.get("cord"),
            drawn.get("gm"),
            drawn.get("lesion"),
            loose_masks=part.special(case.participant).loose_masks,
            lesion_free=part.lesion_free,
            contrast=_contrast(case.image.name, image),
        )


def automatic_volumes(dataset: LabelledDataset) -> Iterator[LabelledVolume]:
    """Yield whose cord nobody drew, by the dataset's description, with the packaged networks'."""
    for part, label, special in _all_which(dataset, "automatic_cord"):
        for path in sorted(part.bids_dir.glob(f"sub-{label}/anat/*.nii.gz")):
            image = reorient(load(path))
            yield LabelledVolume(
                special.person or label,
                image,
                automatic_cord(image),
                loose_masks=special.loose_masks,
                lesion_free=part.lesion_free,
                contrast=_contrast(path.name, image),
            )


def _all_which(
    dataset: LabelledDataset, fact: str
) -> Iterator[tuple[LabelledDataset, str, Participant]]:
    """Yield of whom a fact is told, in a dataset and in those beside it."""
    for part in dataset.parts:
        for label, special in part.which(fact):
            yield part, label, special


def automatic_cord(image: Image) -> Image:
    """Return the mask of the packaged networks as float32; LAS.

    Raises
    ------
    NoCordError
        If they see none.
    """
    networks = Networks(centerline=load_model("centerline"), cord=load_model("cord"))
    return find_cord(image, networks, views=1).cord


def volumes_without_cord(dataset: LabelledDataset) -> Iterator[LabelledVolume]:
    """Yield images below the conus: no cord, no gray matter, the canal to center on."""
    for part, label, special in _all_which(dataset, "canal"):
        assert special.canal is not None
        path = part.bids_dir / f"sub-{label}" / "anat" / special.canal.image
        if not path.is_file():
            continue
        image, canal = below_conus(reorient(load(path)), special.canal)
        none = image.with_data(np.zeros(image.shape, np.float32))
        yield LabelledVolume(
            special.person or label,
            image,
            none,
            none,
            guide=canal,
            loose_masks=special.loose_masks,
            lesion_free=part.lesion_free,
            contrast=_contrast(path.name, image),
        )


def _contrast(name: str, image: Image) -> str:
    return contrast_of(ImageName.of(name).contrast, image.voxel_sizes.tolist())


def below_conus(image: Image, canal: Canal) -> tuple[Image, Image]:
    """Return the slices of an image (LAS) at and below a canal's highest point, and the canal."""
    middle = np.array(canal.points_mm)
    order = np.argsort(middle[:, 2])
    points = grid_points(image.shape, image.affine)
    x, y = (np.interp(points[..., 2], middle[order, 2], middle[order, axis]) for axis in (0, 1))
    inside = np.hypot(points[..., 0] - x, points[..., 1] - y) <= CANAL_RADIUS_MM
    inside &= points[..., 2] <= middle[:, 2].max()
    top = int(np.flatnonzero(inside.any(axis=(0, 1))).max())
    affine = image.affine @ np.diag([1.0, 1.0, CANAL_EVERY, 1.0])
    affine[:3, 3] = to_world(np.zeros(3), image.affine)
    part = slice(0, top + 1, CANAL_EVERY)
    canal_mask = Image(inside[:, :, part].astype(np.float32), affine)
    return Image(image.data[:, :, part], affine), canal_mask
