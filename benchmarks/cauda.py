"""What is called cord in T2w of lumbar spines, how much of it is none, and what the gate says.

``python benchmarks/cauda.py FIRST COUNT`` scans COUNT synthetic lumbar subjects from seed FIRST in
three fields of view of 38 x 120 x 150 to 230 mm: that end 2 to 40 mm below the conus (``below``),
up to 15 mm above it (``at``), and 25 to 110 mm above it (``cord``). Seeds 126000 to 126005 were for
choosing, 126020 to 126023 are for the figures of docs/validation/lumbar.md.

``python benchmarks/cauda.py --real FOLDER...`` looks at every T2w image of BIDS folders, whole and
cut to the lowest and the uppermost 20, 40 and 60 mm; every warning is false, but where the piece
holds no cord.

Printed per image: mm of cord found, those more than 3 mm below the conus, and the gate's
``cauda_mm``.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from spinalprep.cord.cauda import cauda_length
from spinalprep.errors import NoCordError
from spinalprep.image import Image, load, to_world, upright
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.lumbar import LumbarPerson, make_lumbar, profile
from spinalprep.phantom.lumbar_scans import draw_protocol, scan
from spinalprep.registration.bias import correct_bias, neck_mask
from spinalprep.reports.gates import load_gates

TOPS = {"below": (-40.0, -2.0), "at": (0.0, 15.0), "cord": (25.0, 110.0)}  # mm above the conus
PIECES_MM = (20, 40, 60)
LEAST_SLICES = 4
TOLERANCE_MM = 3.0


def main() -> None:
    """Go through the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, help="FIRST COUNT")
    parser.add_argument("--real", nargs="+", type=Path, default=[])
    given = parser.parse_args()
    networks = Networks(centerline=load_model("centerline"), cord=load_model("cord"))
    if given.seeds:
        first, count = given.seeds
        for seed in range(first, first + count):
            person = make_lumbar(seed)
            for name, image in lumbar_images(person):
                tell(f"{seed} {name}", image, networks, person.habitus.conus)
    for path in (
        path for folder in given.real for path in sorted(folder.glob("sub-*/**/*T2w.nii*"))
    ):
        whole = upright(load(path))
        tell(path.name, whole, networks)
        for name, part in pieces(whole):
            tell(f"{path.name} {name}", part, networks)


def lumbar_images(person: LumbarPerson) -> Iterator[tuple[str, Image]]:
    """Yield T2w of 1 mm of a subject in the three fields of view."""
    chance = np.random.default_rng([person.seed, 77])
    z, y, _ = profile(person, person.habitus.canal / 2)
    highest = person.vertebrae[-1].end(1)[1] - 2
    for name, ends in TOPS.items():
        top = min(person.habitus.conus + chance.uniform(*ends), highest)
        bottom = top - chance.uniform(150, 230)
        canal = y[(z > bottom) & (z < top)]
        front = float(np.round((canal.min() + canal.max()) / 2 - 60))
        protocol = replace(
            draw_protocol(person.seed),
            slices=38,
            slice_mm=1.0,
            pixel_mm=1.0,
            low=(front, bottom),
            high=(front + 120, top),
        )
        yield name, scan(person, protocol).t2w


def pieces(image: Image) -> Iterator[tuple[str, Image]]:
    """Yield the lowest and the uppermost part of an image."""
    thick, depth = float(image.voxel_sizes[2]), image.shape[2]
    for length in PIECES_MM:
        count = round(length / thick)
        if LEAST_SLICES <= count < depth:
            for side, first in (("lowest", 0), ("uppermost", depth - count)):
                affine = image.affine.copy()
                affine[:3, 3] += affine[:3, 2] * first
                part = np.ascontiguousarray(image.data[:, :, first : first + count])
                yield f"{side} {length} mm", Image(part, affine)


def tell(name: str, image: Image, networks: Networks[Model], conus: float | None = None) -> None:
    """Print what is found in one image."""
    image = upright(image)
    image, _ = correct_bias(image, neck_mask(image))
    try:
        found = find_cord(image, networks)
    except NoCordError:
        sys.stdout.write(f"{name}\tno cord found\n")
        return
    k = np.flatnonzero(found.cord.data.any(axis=(0, 1)))
    thick = float(image.voxel_sizes[2])
    z = to_world(np.stack([0 * k, 0 * k, k], axis=1).astype(float), image.affine)[:, 2]
    false = (
        f", {thick * (z < conus - TOLERANCE_MM).sum():.0f} mm below" if conus is not None else ""
    )
    length = cauda_length(image, found.probability, found.centerline)
    limit = next(gate for gate in load_gates() if gate.metric == "cauda_mm")
    said = f"cauda_mm {length:.0f} {limit.result(length)}, confidence {found.confidence:.2f}"
    sys.stdout.write(f"{name}\tcord {thick * len(k):.0f} mm{false}\t{said}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
