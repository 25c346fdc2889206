"""Synthetic material: synthetic subjects, whose truth is known, and a template."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, load, reorient, resample
from spinalprep.networks.hemis import CONTRASTS as BACK_ENDS
from spinalprep.networks.hemis import contrast_of
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, GM, TISSUES, make_person
from spinalprep.phantom.images import INTENSITY, acquire, render
from spinalprep.training.material.dataset import TemplateFolders
from spinalprep.training.material.people import Kind
from spinalprep.training.material.volume import LabelledVolume

SHAPE, SPACING_MM = (150, 150, 24), (0.5, 0.5, 6.0)
CONTRASTS = ("T2w", "T1w", "T2starw", "MTS")
CORD_TISSUES = ("white matter", "gray matter", "lesion")
SMALL_MM = 1.0, 1.0, 1.0  # voxels of a template's contrast
DIGITAL = "phantom"  # a name that people may have too: their kind differs


def digital_volumes(count: int) -> Iterator[LabelledVolume]:
    """Yield synthetic subjects of the seeds from 0 on, far below those reserved for tests; LAS.

    Contrasts take turns; truth is the share of each voxel, so that areas are unbiased.
    """
    affine = _affine()
    cord = [TISSUES.index(name) for name in CORD_TISSUES]
    for seed in range(count):
        assert seed < FIRST_TEST_SEED
        person = make_person(seed, head=False)  # as the shipped weights were taught
        contrast = CONTRASTS[seed % len(CONTRASTS)]
        image = render(person, contrast, (SHAPE, affine), seed, noise=0.015)
        shares = person.labels_on(SHAPE, affine, fine=3)
        yield LabelledVolume(
            DIGITAL,
            image,
            image.with_data(shares[cord].sum(axis=0)),
            image.with_data(shares[GM]),
            kind=Kind.DIGITAL,
            lesion_free=True,
        )


def digital_contrasts(count: int) -> Iterator[dict[str, LabelledVolume]]:
    """Yield every contrast of synthetic subjects of the seeds from 0 on, aligned; LAS.

    Axial and sagittal T2w images have noise, texture and bias of their own; slices are not thick
    here.
    """
    affine = _affine()
    cord = [TISSUES.index(name) for name in CORD_TISSUES]
    for seed in range(count):
        assert seed < FIRST_TEST_SEED
        shares = make_person(seed, head=False).labels_on(SHAPE, affine, fine=2)
        whole, grey = Image(shares[cord].sum(axis=0), affine), Image(shares[GM], affine)
        yield {
            contrast: LabelledVolume(
                DIGITAL,
                acquire(
                    shares,
                    np.array(INTENSITY[contrast.rpartition("_")[2]]),
                    affine,
                    np.random.default_rng([seed, n]),
                    noise=0.015,
                ),
                whole,
                grey,
                kind=Kind.DIGITAL,
                lesion_free=True,
                contrast=contrast,
            )
            for n, contrast in enumerate(BACK_ENDS)
        }


def _affine() -> NDArray[np.float64]:
    """Return where the voxels of a synthetic subject lie."""
    affine = np.diag([-SPACING_MM[0], *SPACING_MM[1:], 1.0])
    middle = affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    affine[:3, 3] = np.array([0.0, 4.0, 0.0]) - middle
    return affine


def template_volume(template: TemplateFolders) -> LabelledVolume:
    """Return a template's T2w contrast at 0.5 mm in plane, one slice in 4 mm, with its masks."""
    small = reorient(load(template.small / f"{template.name}_small_t2.nii.gz"))
    cord, gm = (load(template.folder / f"{template.name}_{part}.nii.gz") for part in ("cord", "gm"))
    slices = slice(2, None, 8)  # of 0.5 mm: one in 4 mm; full voxel = small voxel * (2, 2, 4)
    affine = cord.affine @ np.diag([1, 1, 8, 1.0])
    affine[:3, 3] = (cord.affine @ [0, 0, 2, 1])[:3]
    cord, gm = (Image(mask.data[:, :, slices], affine) for mask in (cord, gm))
    to_small = np.diag([0.5, 0.5, 2.0, 1.0])
    to_small[2, 3] = 0.5
    contrast = resample(Image(small.data, np.eye(4)), cord.shape, to_small)
    return LabelledVolume(
        template.name,
        Image(contrast.data, affine),
        cord,
        gm,
        kind=Kind.TEMPLATE,
        loose_masks=template.loose_masks,
        lesion_free=True,
        contrast=contrast_of("T2w", SMALL_MM),
    )
