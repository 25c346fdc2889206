"""T1w of a lumbar spine after a motion: left where headers place it, and registered to T2w.

``python benchmarks/lumbar_motion.py FIRST COUNT`` scans COUNT synthetic subjects from seed FIRST
(123000 to 123009 were for trying, 123034 to 123036 are those of docs/validation/lumbar.md). T1w is
scanned in slices half a slice beside those of T2w, as after a new localizer, and, in the same
subject, after a motion of some millimeters and degrees that the header does not know of. Printed
for both: how far vertebrae are from where they should be by the headers and as registered, mean and
largest in mm, and intersection over union of the structures (without background, over all voxels of
all subjects) with T2w alone, with T1w by the headers, and with T1w as the App brings it.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
from lumbar import segment
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, to_world
from spinalprep.lumbar.alignment import AlignedT1w, align_t1w
from spinalprep.lumbar.structures import STRUCTURES, VERTEBRAE
from spinalprep.networks.weights import load_model
from spinalprep.phantom.lumbar import make_lumbar
from spinalprep.phantom.lumbar_scans import LumbarScan, draw_protocol, scan
from spinalprep.training.evaluation.structures import count_pairs, overlap_percent

SHIFT_MM, TURN_DEG = 3.0, 2.0  # standard deviations


def motion(seed: int, still: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a motion about a point, from where a voxel was to where it is, (4, 4)."""
    chance = np.random.default_rng([seed, 41])
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", chance.normal(0, TURN_DEG, 3), degrees=True).as_matrix()
    matrix[:3, :3] = turn
    matrix[:3, 3] = still - turn @ still + chance.normal(0, SHIFT_MM, 3)
    return matrix


def scan_beside(seed: int) -> tuple[LumbarScan, Image]:
    """Return a scan, and T1w of the same subject on slices and pixels between those of T2w."""
    person, protocol = make_lumbar(seed), draw_protocol(seed)
    low = protocol.low[0] + 0.4 * protocol.pixel_mm, protocol.low[1] + 0.4 * protocol.pixel_mm
    beside = scan(person, replace(protocol, slices=protocol.slices - 1, low=low))
    return scan(person, protocol), beside.t1w


def error_mm(scanned: LumbarScan, moved: NDArray[np.float64], place: NDArray[np.float64]) -> str:
    """Return how far vertebrae of T1w are from those of T2w: mean and largest."""
    voxels = np.argwhere(scanned.structures.data == VERTEBRAE)[::97].astype(float)
    true = to_world(voxels, scanned.t2w.affine)
    away = np.linalg.norm(true @ (place @ moved)[:3, :3].T + (place @ moved)[:3, 3] - true, axis=1)
    return f"{away.mean():.2f} {away.max():.2f}"


def main() -> None:
    """Go through the subjects."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    model = load_model("lumbar")
    counts: dict[str, np.ndarray] = {}
    for seed in range(given.first, given.first + given.count):
        scanned, dark = scan_beside(seed)
        alone = segment(scanned.t2w, None, model)
        seen: dict[str, Image] = {"T2w alone": alone}
        middle = to_world((np.array(alone.shape) - 1) / 2, alone.affine)
        for name, moved in (("still", np.eye(4)), ("moved", motion(seed, middle))):
            t1w = Image(dark.data, moved @ dark.affine)
            aligned: AlignedT1w = align_t1w(t1w, scanned.t2w, alone)
            seen[f"{name}, by headers"] = segment(scanned.t2w, t1w, model)
            seen[f"{name}, as brought"] = segment(scanned.t2w, aligned.image, model)
            place = np.eye(4)
            if aligned.image is not None:
                place = aligned.image.affine @ np.linalg.inv(t1w.affine)
            sys.stdout.write(
                f"{seed} {name}: {aligned.alignment}, gain {aligned.gain:.3f}; mm by headers "
                f"{error_mm(scanned, moved, np.eye(4))}, as brought "
                f"{error_mm(scanned, moved, place)}\n"
            )
            sys.stdout.flush()
        for name, found in seen.items():
            both = count_pairs(scanned.structures.data, found.data, len(STRUCTURES))
            counts[name] = counts.get(name, np.zeros_like(both)) + both
    for name, both in counts.items():
        sys.stdout.write(f"{name}: {overlap_percent(both)[1:].mean():.1f} %\n")


if __name__ == "__main__":
    main()
