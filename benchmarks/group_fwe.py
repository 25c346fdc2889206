"""Family-wise error of the group statistics under the null, and power for a difference.

``python benchmarks/group_fwe.py [SIMULATIONS] [PERMUTATIONS]`` prints one row per setting: how
often any voxel (or region) is called different at 5 %, with its 95 % Wilson interval.
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


def occupancy(
    domain: Domain, lesions: np.ndarray, covered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return lesion share and coverage of twenty regions: ten slabs, front and back."""
    region = domain.slices // 4 * 2 + (domain.ijk[:, 1] >= SHAPE[1] // 2)
    member = (region[:, None] == np.arange(region.max() + 1)).astype(np.float32)
    seen = covered @ member
    share = (lesions * covered) @ member / np.maximum(seen, 1)
    return share, seen >= 0.1 * member.sum(axis=0)


def run(simulations: int, permutations: int, planted: float, kind: str, nuisance: bool) -> str:
    """Return one row of the table; kind is maximum, TFCE or regions."""
    domain = make_domain()
    enhance = Enhancer(domain, steps=20) if kind == "TFCE" else None
    hits, started = 0, time.monotonic()
    for seed in range(simulations):
        lesions, covered, age = make_cohort(domain, seed, planted, nuisance)
        table = pd.DataFrame(
            {"person_id": range(FIRST + SECOND), "cohort": ["a"] * FIRST + ["b"] * SECOND}
        ).assign(age=age)
        (question,) = plan_comparisons(table, "cohort", nuisance=["age"] if nuisance else [])
        if kind == "regions":
            lesions, covered = occupancy(domain, lesions, covered)
        found = compare(
            lesions, covered, question, Plan(permutations, 10**6 + seed, min_n=10), enhance
        )
        p = found.p if found.p_enhanced is None else found.p_enhanced
        hits += bool(np.nanmin(p) <= 0.05)
    low, high = wilson_interval(np.array([hits]), np.array([simulations]))
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
        for kind, count in (
            ("maximum", simulations),
            ("regions", simulations),
            ("TFCE", max(simulations * 2 // 5, 1)),
        ):
            for nuisance in (True, False):
                if planted and not nuisance:
                    continue
                times = min(count, 100) if planted else count
                row = run(times, permutations, planted, kind, nuisance)
                sys.stdout.write(f"{row}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
