"""Our N4 against that of ANTs, on the coarse grid on which the field is fitted.

python benchmarks/n4.py IMAGE...

Prints for every image: voxels of the body on that grid, CPU seconds of both (ANTs on one thread),
and by how much the two fields differ inside the body, once their medians are the same.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # before ants is loaded

import numpy as np

from spinalprep.image import load, reorient, upright
from spinalprep.registration import bias
from spinalprep.registration.ants_arrays import ants, from_ants, to_ants
from spinalprep.registration.n4 import fit_log_field


def compare(path: Path) -> str:
    """Return a line about one image."""
    image = upright(reorient(load(path)))
    coarse, mask = bias._coarse(image, bias.neck_mask(image).data > 0)
    inside = mask.data > 0
    began = time.process_time()
    theirs = ants.n4_bias_field_correction(
        to_ants(coarse),
        mask=to_ants(mask),
        shrink_factor=1,
        spline_param=bias.SPLINE_DISTANCE,
        convergence={"iters": bias.ROUNDS, "tol": bias.TOLERANCE},
        return_bias_field=True,
    )
    then = time.process_time()
    sizes = coarse.voxel_sizes.tolist()
    ours = fit_log_field(
        coarse.data, inside, sizes, bias.SPLINE_DISTANCE, bias.ROUNDS, bias.TOLERANCE
    )
    ended = time.process_time()
    apart = (ours - np.log(from_ants(theirs).data))[inside]
    percent = 100 * np.expm1(np.abs(apart - np.median(apart)))
    return (
        f"{path.name}\t{inside.sum()}\t{then - began:.2f}\t{ended - then:.2f}\t"
        f"{percent.mean():.4f}\t{percent.max():.4f}\n"
    )


def main() -> None:
    """Print a row per image."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+")
    sys.stdout.write("image\tvoxels\tants_s\tours_s\tmean_percent\tlargest_percent\n")
    for path in parser.parse_args().images:
        sys.stdout.write(compare(path))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
