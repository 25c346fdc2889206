"""Reading, checking and preprocessing of images."""

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from spinalprep.api.html import Card, page
from spinalprep.api.volume import ImageLike, Volume, to_spatial
from spinalprep.bids.names import CONTRASTS, image_stem
from spinalprep.errors import UsageError
from spinalprep.image import Image, reorient, upright
from spinalprep.image.sanity import Checked, check, check_loaded
from spinalprep.reports.flat import whole_views
from spinalprep.reports.views import side_by_side

_log = logging.getLogger("spinalprep")

EXAMPLE_SEED = 7
EXAMPLE_SHAPE, EXAMPLE_VOXEL_MM = (56, 72, 44), (1.0, 1.0, 3.0)


@dataclass(frozen=True, repr=False, eq=False)
class Scan(Volume):
    """An image of the spinal cord, checked and preprocessed, in the voxel order of its file.

    Attributes
    ----------
    data : ndarray of float32, shape (I, J, K)
        Finite intensities.
    affine : ndarray of float64, shape (4, 4)
        Maps voxel indices to RAS+ millimeters.
    name : str
        Name of the file without extension; empty if there is none.
    contrast : str or None
        ``T2w``, ``T1w``, ``T2starw`` or ``MTS``, from the BIDS suffix of the name.
    warnings : tuple of str
        Problems of the file, and how they were handled.
    altered : tuple of str
        Preprocessing steps that differ from the default.
    """

    name: str = ""
    contrast: str | None = None
    warnings: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{super().__repr__()}{': ' if self.name else ''}{self.name}"

    def _repr_html_(self) -> str:
        rows = [("contrast", self.contrast or "unknown")]
        rows += [("warning", text) for text in self.warnings]
        return page(Card(repr(self), rows, side_by_side(whole_views(upright(self)))))


def load(image: ImageLike, *, bias_correction: bool = True, denoise: bool = False) -> Scan:
    """Read an image, check it and correct its bias field, as the App does.

    Parameters
    ----------
    image : path, nibabel image or Volume
        A single 3D volume of any orientation. A `Scan` is returned unchanged.
    bias_correction : bool
        Correct the bias field with N4.
    denoise : bool
        Denoise with non-local means before bias correction.

    Returns
    -------
    scan : Scan
        float32, shape (I, J, K), in the voxel order of the file.

    Raises
    ------
    InputError
        If the image cannot be processed; the message says why and what to do.
    UsageError
        If ``image`` is not an image.

    Examples
    --------
    >>> import spinalprep as sp
    >>> person = sp.example()
    >>> sp.load(person.to_nibabel(), bias_correction=False)
    Scan of 56 x 72 x 44 voxels of 1 x 1 x 3 mm, axes LAS, float32
    """
    if isinstance(image, Scan):
        return image
    source, name = to_spatial(image)
    checked = check(source) if isinstance(source, Path) else check_loaded(source, name)
    for warning in checked.warnings:
        _log.warning(warning)
    stem = image_stem(Path(name)) if name != "the image" else ""
    suffix = stem.rpartition("_")[2]
    contrast = suffix if suffix in CONTRASTS else None
    conformed = _preprocess(checked, bias_correction, denoise)
    unusual = {"denoise": denoise, "no bias correction": not bias_correction}
    altered = tuple(name for name, yes in unusual.items() if yes)
    return Scan(conformed.data, conformed.affine, stem, contrast, checked.warnings, altered)


def example(contrast: str = "T2w", *, lesions: int = 1) -> Scan:
    """Return a small image of a synthetic subject: a neck with known anatomy.

    Parameters
    ----------
    contrast : str
        ``T2w``, ``T1w``, ``T2starw`` or ``MTS``.
    lesions : int
        Number of lesions in the cord.

    Raises
    ------
    UsageError
        If there is no such contrast.

    Returns
    -------
    scan : Scan, shape (56, 72, 44)
        Voxels of 1 x 1 x 3 mm, skull base to T2.

    Examples
    --------
    >>> import spinalprep as sp
    >>> sp.example()
    Scan of 56 x 72 x 44 voxels of 1 x 1 x 3 mm, axes LAS, float32: example_T2w
    """
    if contrast not in CONTRASTS:
        raise UsageError(f"no example of {contrast!r}; expected {', '.join(CONTRASTS)}")
    image = _render(contrast, lesions)
    return Scan(image.data.copy(), image.affine.copy(), f"example_{contrast}", contrast)


@cache
def _render(contrast: str, lesions: int) -> Image:
    from spinalprep.phantom.anatomy import make_person
    from spinalprep.phantom.images import render

    affine = np.diag([-EXAMPLE_VOXEL_MM[0], *EXAMPLE_VOXEL_MM[1:], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(EXAMPLE_SHAPE) - 1) / 2)
    person = make_person(EXAMPLE_SEED, lesions)
    return render(person, contrast, (EXAMPLE_SHAPE, affine), EXAMPLE_SEED).as_saved()


def _preprocess(checked: Checked, bias_correction: bool, denoise: bool) -> Volume:
    """Correct an image in LAS, and bring it back to the voxel order of its file."""
    image = checked.image.as_saved()
    if bias_correction or denoise:
        from spinalprep.registration import bias  # loads ANTs

        if denoise:
            image = bias.denoise(image).as_saved()
        if bias_correction:
            image = bias.correct_bias(image, bias.neck_mask(image))[0].as_saved()
    turned = reorient(image, checked.axes) if image.axes != checked.axes else image
    return Volume(turned.data, turned.affine)
