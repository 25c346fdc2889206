"""Where the edge of a mask lies on the step from cord to fluid that the image shows.

``python benchmarks/edges.py CENTERLINE CORD IMAGE MASK [IMAGE MASK ...]`` (weights that never saw
these people; files, or names of packaged networks) prints, for the drawn mask and for the
network's, how far outside the mask the image passes half of the step, in mm: 0 is an unbiased area,
0.3 a mask drawn inside the visible cord. With ``--stretches N`` in front, the same for N stretches
of the drawn slices from foot to head, without the first and last five, and the ratio of volumes.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, load, reorient
from spinalprep.image.sanity import conform_label
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import load_model

FINE_MM, REACH_MM, BIN_MM, FIELD_MM = 0.125, 1.5, 0.25, 12.0
LEAST_VOXELS = 20
ENDS = 5  # drawn slices at either end that are left out of stretches


def distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance in mm of every fine pixel from the mask's edge, negative inside."""
    outside = ndimage.distance_transform_edt(~mask)
    inside = ndimage.distance_transform_edt(mask)
    away = (outside - inside) * FINE_MM
    return np.asarray(away - np.sign(away) * FINE_MM / 2)


def profiles(image: Image, mask: Image) -> dict[int, NDArray[np.float64]]:
    """Return the mean intensity at distances from -1.5 to 1.5 mm of the edge, slice by slice."""
    at = np.arange(-REACH_MM, REACH_MM, BIN_MM) + BIN_MM / 2
    pitch = image.voxel_sizes[:2] / FINE_MM
    reach = (FIELD_MM / image.voxel_sizes[:2]).astype(int)
    rows = {}
    for k in range(image.shape[2]):
        inside = np.argwhere(mask.data[:, :, k] > 0.5)
        if len(inside) < LEAST_VOXELS:
            continue
        middle = inside.mean(axis=0).astype(int)
        part = tuple(slice(max(a - b, 0), a + b) for a, b in zip(middle, reach, strict=True))
        fine = [
            ndimage.zoom(
                volume[:, :, k][part].astype(np.float32),
                pitch,
                order=1,
                grid_mode=True,
                mode="nearest",
            )
            for volume in (image.data, mask.data)
        ]
        away = distances(fine[1] > 0.5)
        rows[k] = np.array([fine[0][np.abs(away - d) <= BIN_MM / 2].mean() for d in at])
    return rows


def profile(image: Image, mask: Image) -> NDArray[np.float64]:
    """Return the mean of the profiles of all slices."""
    return np.asarray(np.nanmean(list(profiles(image, mask).values()), axis=0))


def half_step(values: NDArray[np.float64]) -> float:
    """Return the distance in mm at which a profile first passes half of its largest step."""
    at = np.arange(-REACH_MM, REACH_MM, BIN_MM) + BIN_MM / 2
    low = values[:2].mean()
    outer = values[len(values) // 2 :]
    high = outer[np.abs(outer - low).argmax()]
    share = (values - low) / (high - low)
    n = int(np.flatnonzero(share >= 0.5)[0])
    return float(np.interp(0.5, share[n - 1 : n + 1], at[n - 1 : n + 1]))


def stretch_of(image: Image, first: int, last: int) -> Image:
    """Return axial slices of an image, both ends included."""
    return Image(image.data[:, :, first : last + 1], image.affine)


def report(name: str, image: Image, mask: Image, soft: Image) -> None:
    """Print where the edges of a drawn mask and of a network's lie."""
    ratio = soft.data[:, :, (mask.data > 0.5).any(axis=(0, 1))].sum() / (mask.data > 0.5).sum()
    sys.stdout.write(
        f"{name}: half of the step lies {half_step(profile(image, mask)):+.2f} mm from the drawn "
        f"edge, {half_step(profile(image, soft)):+.2f} mm from the network's; volume, network "
        f"over drawn, {ratio:.2f}\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Print a line per image or stretch."""
    words = sys.argv[1:]
    count = int(words[1]) if words[0] == "--stretches" else 0
    words = words[2:] if count else words
    centerline, cord = (load_model(Path(w) if "." in w else w) for w in words[:2])
    networks = Networks(centerline=centerline, cord=cord)
    for path, drawn in zip(words[2::2], words[3::2], strict=True):
        image = reorient(load(Path(path)))
        mask = conform_label(Path(drawn), image)
        soft = find_cord(image, networks).probability
        if not count:
            report(Path(path).name, image, mask, soft)
            continue
        slices = np.flatnonzero((mask.data > 0.5).any(axis=(0, 1)))[ENDS:-ENDS]
        for part in np.array_split(slices, count):
            shown = (stretch_of(volume, part[0], part[-1]) for volume in (image, mask, soft))
            report(f"{Path(path).name}, slices {part[0]} to {part[-1]}", *shown)


if __name__ == "__main__":
    main()
