"""Whether areas would be unbiased if outlines were moved to the edge that the image shows.

``python benchmarks/edge_areas.py FIRST COUNT`` renders COUNT synthetic subjects from seed FIRST on
in four contrasts, segments them with the packaged cord network along the true centerline, and
measures in every stretch of 30 mm how far outside the outline the signal passes halfway from cord
to CSF (`edges.half_step`). Printed: error of the areas before and after a shift of the outline by
that distance. Nothing in the product moves outlines: raters draw about 0.1 mm inside this edge.
"""

import sys

import numpy as np
from edges import half_step, profiles
from lesions import GRIDS
from numpy.typing import NDArray

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image
from spinalprep.networks.predict import segment_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import GM, LESION, WM, make_person
from spinalprep.phantom.images import las_grid, render

CONTRASTS = ("T2w", "T1w", "T2starw", "MTS")
REACH_MM = 15.0  # of profiles that are averaged, to either side


def draw(seed: int, contrast: str) -> tuple[Image, NDArray[np.float32]]:
    """Return an image and the share of cord in every voxel."""
    shape, spacing = GRIDS[contrast]
    person = make_person(seed)
    grid = las_grid(shape, spacing, person.centerline.at(person.centerline.length / 2))
    share = person.labels_on(*grid, fine=3)[[WM, GM, LESION]].sum(axis=0)
    return render(person, contrast, grid, seed), share


def areas(
    image: Image, share: NDArray[np.float32], model: Model
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return true, measured and shifted areas of the slices in mm2, without the outermost two."""
    line = centerline_from_mask(image.with_data((share >= 0.5).astype(np.float32)))
    soft = image.with_data(segment_cord(image, line, model, 1).cord)
    seen = profiles(image, soft)
    slices = np.array(sorted(seen))[1:-1]
    heights = slices * float(image.voxel_sizes[2])
    pixel = float(np.prod(image.voxel_sizes[:2]))
    true, own = (v[:, :, slices].sum(axis=(0, 1)) * pixel for v in (share, soft.data))
    shift = np.array(
        [
            half_step(np.mean([seen[k] for k in slices[np.abs(heights - z) <= REACH_MM]], axis=0))
            for z in heights
        ]
    )
    return true, own, np.pi * (np.sqrt(own / np.pi) + shift) ** 2


def main() -> None:
    """Print a line per contrast and subject."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    model = load_model("cord")
    for contrast in CONTRASTS:
        for seed in range(first, first + count):
            true, own, shifted = areas(*draw(seed, contrast), model)
            mean = (100 * (a.sum() / true.sum() - 1) for a in (own, shifted))
            each = (100 * float(np.sqrt(np.mean((a / true - 1) ** 2))) for a in (own, shifted))
            sys.stdout.write(
                "{} {}: mean area {:+.1f} %, shifted {:+.1f} %; ".format(contrast, seed, *mean)
                + "of a slice, root mean square, {:.1f} %, shifted {:.1f} %\n".format(*each)
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
