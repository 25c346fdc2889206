"""Registration to the template on labeled people: overlap, round trips, gray matter, time.

``python benchmarks/registration.py BIDS_DIR PAM50_DIR [--only TEXT] [--weights CENTERLINE CORD
GM]`` prints a line per image of a BIDS dataset with ``derivatives/labels``: what drives (manual or
automatic cord; ``+gm``: automatic gray matter too; ``+hint``: levels by a hint), Dice of the cord
that drives and, where there are two, of the other one, on the subject's and on the template's grid;
Dice of the template's gray matter and the manual one; distance there and back at random points of
the cord (mean, 99 %, largest); smallest Jacobian; seconds of one core.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.errors import SpinalprepError
from spinalprep.image import Image, load, to_world
from spinalprep.image.sanity import conform, conform_label
from spinalprep.levels.discs import levels_from_hint
from spinalprep.networks.cascade import Found, Networks, find_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.registration.along import Channel
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.template import TemplateFit, register_to_template
from spinalprep.template.files import Template, read_template
from spinalprep.template.levels import disc_heights

HINT = 5.0  # level that is put at the middle of the cord; sub-lumbar needs another
Mask = NDArray[np.bool_]


def dice(a: Mask, b: Mask) -> float:
    """Return the overlap of two masks."""
    return 2 * int((a & b).sum()) / max(int(a.sum() + b.sum()), 1)


def judge(fit: TemplateFit, cord: Image, model: Image) -> tuple[float, float]:
    """Return Dice on the subject's and on the template's grid, in slices that both have."""
    own = cord.data > 0.5
    warped = resample_through(model, fit.inverse, (cord.shape, cord.affine)).data > 0.5
    rows = own.any(axis=(0, 1)) & warped.any(axis=(0, 1))
    there = resample_through(cord, fit.forward, (model.shape, model.affine)).data > 0.5
    z = model.affine[2, 3] + model.affine[2, 2] * np.arange(model.shape[2])
    low, high = fit.span_z_mm
    both = there.any(axis=(0, 1)) & (z >= low) & (z <= high)
    return (
        dice(own[:, :, rows], warped[:, :, rows]),
        dice(there[:, :, both], model.data[:, :, both] > 0.5),
    )


def there_and_back(fit: TemplateFit, cord: Image) -> NDArray[np.float64]:
    """Return distances in mm at three random points of each voxel of the cord."""
    ijk = np.argwhere(cord.data > 0.5)
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, (3, *ijk.shape))
    points = to_world((ijk + jitter).reshape(-1, 3), cord.affine)
    off: NDArray[np.float64] = np.linalg.norm(
        fit.forward.apply(fit.inverse.apply(points)) - points, axis=1
    )
    return off


def grey_matter(fit: TemplateFit, manual: Image, model: Image) -> float:
    """Return Dice of the template's gray matter and the manual one, in labeled slices."""
    own = manual.data > 0.5
    rows = own.any(axis=(0, 1))
    warped = resample_through(model, fit.inverse, (own.shape, manual.affine)).data >= 0.5
    return dice(own[:, :, rows], warped[:, :, rows])


def drivers(
    found: Found[Image, Centerline], manual: Image | None
) -> Iterator[tuple[str, Image, Centerline, Image | None]]:
    """Yield name, cord, centerline and the other cord."""
    yield "automatic", found.probability, found.centerline, manual
    if manual is not None:
        yield "manual", manual, centerline_from_mask(manual), found.probability


def measure(path: Path, labels: Path, template: Template, networks: Networks[Model]) -> None:
    """Print the lines of one image."""
    image = conform(path)
    found = find_cord(image, networks)
    stem = path.name.removesuffix(".nii.gz")
    drawn = {
        name: conform_label(labels / f"{stem}_{name}.nii.gz", image)
        for name in ("seg-manual", "gmseg-manual")
        if (labels / f"{stem}_{name}.nii.gz").is_file()
    }
    model, grey = load(template.cord), load(template.gm) if template.gm else None
    heights = disc_heights(template)
    seen = Channel(found.gm, grey) if grey is not None else None
    for name, cord, line, other in drivers(found, drawn.get("seg-manual")):
        middle = float(line.at(line.length / 2)[2])
        hinted = levels_from_hint({HINT: middle}, line, heights).disc_s
        runs = [(name, {}, None), (f"{name}+hint", hinted, None), (f"{name}+gm", {}, seen)]
        for what, discs, gm in runs if "T2star" in stem or "MTS" in stem else runs[:2]:
            began = time.process_time()
            fit = register_to_template(cord, line, discs, model, heights, gm)
            took = time.process_time() - began
            off = there_and_back(fit, cord)
            words = [f"{stem:28s} {what:15s} own {fit.dice_subject:.3f} {fit.dice_template:.3f}"]
            if other is not None:
                words.append("judged {:.3f} {:.3f}".format(*judge(fit, other, model)))
            if "gmseg-manual" in drawn and grey is not None:
                words.append(f"GM {grey_matter(fit, drawn['gmseg-manual'], grey):.3f}")
            words.append(f"back {off.mean():.3f} {np.percentile(off, 99):.3f} {off.max():.3f}")
            words.append(f"J {fit.jacobian_min:.2f}, {took:.1f} s")
            sys.stdout.write(", ".join(words) + "\n")
            sys.stdout.flush()


def main() -> None:
    """Run over the images of a dataset."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("template", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--weights", nargs=3, default=["centerline", "cord", "gm"])
    given = parser.parse_args()
    networks = Networks(
        **dict(zip(("centerline", "cord", "gm"), map(load_model, given.weights), strict=True))
    )
    template = read_template(given.template)
    for path in sorted(given.bids_dir.glob("sub-*/anat/*.nii.gz")):
        if given.only in path.name:
            labels = given.bids_dir / "derivatives/labels" / path.parent.relative_to(given.bids_dir)
            try:
                measure(path, labels, template, networks)
            except SpinalprepError as error:
                sys.stdout.write(f"{path.name}: {error}\n")


if __name__ == "__main__":
    main()
