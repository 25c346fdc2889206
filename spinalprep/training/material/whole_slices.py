"""Whole axial slices of one size, as the RA-U-Net was published: no window around the cord."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from spinalprep.errors import InputError
from spinalprep.image import load, reorient
from spinalprep.training.material.cases import Case
from spinalprep.training.material.people import Kind, Material, Owner

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class WholeSlices(Material):
    """Slices in which a person drew the cord.

    Attributes
    ----------
    image : ndarray of float32, shape (n, H, W)
        From 0 to 1 in every slice.
    cord : ndarray of float32, shape (n, H, W)
        0 or 1.
    person, name : ndarray of str, shape (n,)
        Whose it is, and the file of the image.
    place : ndarray of int, shape (n,)
        Index of the slice in the image, LAS.
    """

    image: NDArray[np.float32]
    cord: NDArray[np.float32]
    person: NDArray[np.str_]
    name: NDArray[np.str_]
    place: NDArray[np.intp]

    def owners(self) -> list[Owner]:
        """Return whose each slice is."""
        return [Owner(person, Kind.PERSON) for person in self.person.tolist()]

    def take(self, kept: NDArray[np.intp]) -> "WholeSlices":
        """Return these slices alone, in this order."""
        return WholeSlices(
            self.image[kept], self.cord[kept], self.person[kept], self.name[kept], self.place[kept]
        )


def read_whole_slices(cases: Iterable[Case], size: int, most: int) -> WholeSlices:
    """Read the slices in which the cord was drawn.

    Parameters
    ----------
    cases : iterable of Case
        Those without a mask of the cord are passed over.
    size : int
        Height and width in pixels.
    most : int
        Slices of one image, evenly spread over it if it has more.

    Raises
    ------
    InputError
        If nobody drew a cord.
    """
    images, cords, people, names, places = [], [], [], [], []
    for case in cases:
        if "cord" not in case.truth:
            continue
        volume = reorient(load(case.image))
        drawn = case.read("cord", volume).data >= 0.5
        shown = np.flatnonzero(drawn.any(axis=(0, 1)))
        if len(shown) > most:
            shown = shown[np.linspace(0, len(shown) - 1, most).round().astype(int)]
        for k in shown:
            pixel = volume.voxel_sizes[:2]
            images.append(scale_plane(fit_plane(volume.data[:, :, k], pixel, size, "bicubic")))
            mask = drawn[:, :, k].astype(np.float32)
            cords.append(fit_plane(mask, pixel, size, "nearest-exact"))
            people.append(case.person)
            names.append(case.image.name)
            places.append(int(k))
    if not images:
        raise InputError("nobody drew a cord; expected masks such as *_seg-manual.nii.gz")
    return WholeSlices(
        np.stack(images), np.stack(cords), np.array(people), np.array(names), np.array(places)
    )


def fit_plane(plane: Plane, pixel_mm: NDArray[np.float64], size: int, mode: str) -> Plane:
    """Return a slice resized to ``size`` x ``size`` pixels.

    Parameters
    ----------
    plane : ndarray of float32, shape (I, J)
        Padded with its minimum to a square in mm first, so that a cord stays round; the published
        slices were square.
    pixel_mm : ndarray of float, shape (2,)
        Edge lengths of a pixel.
    size : int
        Height and width of the result.
    mode : str
        ``bicubic`` (over 4 x 4 pixels) for images, ``nearest-exact`` for masks.
    """
    edge = float((np.array(plane.shape) * pixel_mm).max())
    more = np.maximum(np.rint(edge / pixel_mm).astype(int) - plane.shape, 0)
    margins = [(n // 2, n - n // 2) for n in more.tolist()]
    square = np.pad(plane, margins, constant_values=plane.min())
    whole = torch.from_numpy(np.ascontiguousarray(square, np.float32))[None, None]
    resized: Plane = functional.interpolate(whole, (size, size), mode=mode)[0, 0].numpy()
    return resized


def scale_plane(plane: Plane) -> Plane:
    """Return a slice from its minimum, 0, to its maximum, 1 (equation 1 of the paper).

    Examples
    --------
    >>> scale_plane(np.array([[2.0, 4.0, 3.0]], np.float32)).tolist()
    [[0.0, 1.0, 0.5]]
    """
    low, high = float(plane.min()), float(plane.max())
    scaled: Plane = ((plane - low) / max(high - low, 1e-12)).astype(np.float32)
    return scaled
