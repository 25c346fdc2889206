"""Family-wise error of the group statistics under the null, and power for a difference.

``python benchmarks/group_fwe.py [SIMULATIONS] [PERMUTATIONS]`` prints one row per setting: how
often any voxel is called different at 5 %, with its 95 % Wilson interval.
"""

import sys
import time

import numpy as np
import pandas as pd
from scipy import ndimage

from spinalprep.group.design import plan_comparisons
from spinalprep.group.domain import Domain
from spinalprep.group.maps import wilson_interval
from spinalprep.group.permutation import Plan, compare
from spinalprep.group.tfce import Enhancer
from spinalprep.image import Image

SHAPE, FIRST, SECOND = (12, 8, 40), 24, 36


def make_domain() -> Domain:
    """Return an elliptic cylinder of about 3,000 voxels."""
    x, y = np.mgrid[: SHAPE[0], : SHAPE[1]]
    disc = ((x - 5.5) / 6) ** 2 + ((y - 3.5) / 4) ** 2 <= 1
    data = np.repeat(disc[..., None], SHAPE[2], axis=2).astype(np.float32)
    return Domain.of(Image(data, np.diag([0.5, 0.5, 0.5, 1.0])))


def make_cohort(
    domain: Domain, seed: int, planted: float, confounded: bool
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return lesions and coverage of 60 people, and their ages.

    Lesions are smooth blobs; with ``confounded`` they are likelier in the older, and the first
    cohort is older. The first cohort is covered from the top, the second down to the bottom.
    ``planted`` is added to the first cohort's chance of a lesion in one place.
    """
    rng = np.random.default_rng(seed)
    people = FIRST + SECOND
    age = rng.normal(40, 8, people) + 6 * confounded * (np.arange(people) < FIRST)
    lesions = np.zeros((people, domain.size), np.uint8)
    covered = np.zeros((people, domain.size), np.uint8)
    k = domain.slices
    for n in range(people):
        field = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5)
        field /= field.std()
        bar = 1.6 - 0.01 * confounded * (age[n] - 40)
        lesion = np.asarray(domain.take(field)) > bar
        if n < FIRST and rng.random() < planted:
            lesion |= (np.abs(k - 22) <= 2) & (np.abs(domain.ijk[:, 0] - 5.5) <= 2)
        low = rng.integers(0, 18) if n < FIRST else rng.integers(0, 6)
        high = SHAPE[2] - (rng.integers(0, 4) if n < FIRST else rng.integers(0, 12))
        covered[n] = (k >= low) & (k < high)
        lesions[n] = lesion
    return lesions, covered, age.tolist()


def run(simulations: int, permutations: int, planted: float, enhanced: bool, nuisance: bool) -> str:
    """Return one row of the table."""
    domain = make_domain()
    enhance = Enhancer(domain, steps=20) if enhanced else None
    hits, started = 0, time.monotonic()
    for seed in range(simulations):
        lesions, covered, age = make_cohort(domain, seed, planted, nuisance)
        table = pd.DataFrame(
            {"person_id": range(FIRST + SECOND), "cohort": ["a"] * FIRST + ["b"] * SECOND}
        ).assign(age=age)
        (question,) = plan_comparisons(table, "cohort", nuisance=["age"] if nuisance else [])
        found = compare(
            lesions, covered, question, Plan(permutations, 10**6 + seed, min_n=10), enhance
        )
        p = found.p_enhanced if enhanced else found.p
        hits += bool(np.nanmin(p) <= 0.05)
    low, high = wilson_interval(np.array([hits]), np.array([simulations]))
    kind = "TFCE" if enhanced else "maximum"
    return (
        f"{kind:8s} nuisance {nuisance!s:5s} planted {planted:.1f}: {hits}/{simulations} = "
        f"{hits / simulations:.3f} ({low[0]:.3f} to {high[0]:.3f}), "
        f"{(time.monotonic() - started) / simulations:.2f} s each"
    )


def main() -> None:
    """Print the table."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    permutations = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    for planted in (0.0, 0.6):
        for enhanced, count in ((False, simulations), (True, max(simulations * 2 // 5, 1))):
            for nuisance in (True, False):
                if planted and not nuisance:
                    continue
                times = min(count, 100) if planted else count
                row = run(times, permutations, planted, enhanced, nuisance)
                sys.stdout.write(f"{row}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
