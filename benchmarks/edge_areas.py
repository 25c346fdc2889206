"""Areas before and after outlines are moved to the edge that the image shows.

``python benchmarks/edge_areas.py FIRST COUNT`` renders COUNT synthetic subjects from seed FIRST on
in four contrasts, segments them with the packaged cord network along the true centerline, and
moves the outline as ``--edge-contrasts`` does. Printed, before and after: error of the mean area,
root mean square error of a slice, true areas in their intervals, Dice; how far the outline was
moved, and CPU seconds of that. Constants were looked at on seeds 175200 to 175202; 176500 on are
for the figures.
"""

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from lesions import GRIDS
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.cord.intervals import INTERVALS
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.visible_edge import move_outline, visible_edge
from spinalprep.image import Image
from spinalprep.networks.predict import Prediction, segment_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import GM, LESION, WM, make_person
from spinalprep.phantom.images import las_grid, render

CONTRASTS = ("T2w", "T1w", "T2starw", "MTS")
ENDS = 2  # slices at either end that are left out


@dataclass(frozen=True)
class Measured:
    """Slices of a cord: areas, ends of their intervals, Dice of the mask."""

    area: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    dice: float


def draw(seed: int, contrast: str) -> tuple[Image, NDArray[np.float32]]:
    """Return an image and the share of cord in every voxel."""
    shape, spacing = GRIDS[contrast]
    person = make_person(seed)
    grid = las_grid(shape, spacing, person.centerline.at(person.centerline.length / 2))
    share = person.labels_on(*grid, fine=3)[[WM, GM, LESION]].sum(axis=0)
    return render(person, contrast, grid, seed), share


def measured(
    image: Image, found: Prediction, line: Centerline, share: NDArray[np.float32]
) -> Measured:
    """Measure the slices of a cord but the outermost."""
    soft, spread = (image.with_data(volume) for volume in (found.cord, found.sd))
    table = measure_slices(soft, line, spread=spread).sort_values("slice").iloc[ENDS:-ENDS]
    k = table["slice"].to_numpy(int)
    own, true = (volume[:, :, k] >= 0.5 for volume in (found.cord, share))
    sizes = (table[name].to_numpy(float) for name in ("area_mm2", *INTERVALS["area_mm2"]))
    return Measured(*sizes, 2 * float((own & true).sum()) / float(own.sum() + true.sum()))


def true_areas(image: Image, share: NDArray[np.float32], line: Centerline) -> NDArray[np.float64]:
    """Return the areas of the same slices that the shares give, across the cord."""
    table = measure_slices(image.with_data(share), line).sort_values("slice").iloc[ENDS:-ENDS]
    pixel = float(np.prod(image.voxel_sizes[:2]))
    cosine = np.cos(np.radians(table["tilt_deg"].to_numpy(float)))
    sums = share.sum(axis=(0, 1))[table["slice"].to_numpy(int)]
    return np.asarray(sums * pixel * cosine, np.float64)


def report(image: Image, share: NDArray[np.float32], model: Model) -> str:
    """Return what moving the outline changes in one image."""
    line = centerline_from_mask(image.with_data((share >= 0.5).astype(np.float32)))
    before = segment_cord(image, line, model)
    cord = image.with_data(before.cord)
    start = time.process_time()
    shift = visible_edge(image, cord)
    volumes = [cord, image.with_data(before.sd)]
    soft, spread = move_outline(cord, volumes, shift)
    seconds = time.process_time() - start
    after = replace(before, cord=soft, sd=spread)
    true = true_areas(image, share, line)
    words = []
    for found in (before, after):
        one = measured(image, found, line, share)
        off = one.area / true - 1
        held = float(np.mean((one.lower <= true) & (true <= one.upper)))
        words.append(
            f"mean area {100 * (one.area.sum() / true.sum() - 1):+.1f} %, of a slice "
            f"{100 * float(np.sqrt(np.mean(off**2))):.1f} %, in the interval {100 * held:.0f} %, "
            f"Dice {one.dice:.4f}"
        )
    told = shift.summary()
    return (
        f"{words[0]}; moved: {words[1]}; by {told.median_mm:+.3f} ({told.least_mm:+.3f} to "
        f"{told.most_mm:+.3f}) mm, {told.evident:.2f} of it seen, {seconds:.2f} CPU s"
    )


def main() -> None:
    """Print a line per contrast and subject."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    model = load_model("cord")
    for contrast in CONTRASTS:
        for seed in range(first, first + count):
            line = report(*draw(seed, contrast), model)
            sys.stdout.write(f"{contrast} {seed}: {line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
