"""How true regional estimates of a map are: tract values of PAM50 in thick voxels, with noise.

    python benchmarks/regional_metrics.py ../shared/data/PAM50

Prints, for voxels of 1 x 1 x 5 mm over C1 to T1, the mean absolute bias and the root mean square
error of each estimate over 30 noisy maps, for tracts (all levels together, and one level) and for
columns and tissues. The fluid around the cord is 0, white matter tracts 40 to 60, gray matter 25
to 35, the noise 4.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.image import load
from spinalprep.metrics.estimate import measure_metric
from spinalprep.metrics.shares import atlas_shares
from spinalprep.template.files import read_template
from spinalprep.template.regions import combined_regions, region_names

BLOCK = (2, 2, 10)  # of the template's voxels of 0.5 mm
REPEATS, NOISE = 30, 4.0
ESTIMATES = ("metric_mean", "metric_median", "metric_wa", "metric_ml", "metric_map")


def coarse(volume: np.ndarray) -> np.ndarray:
    """Average blocks of voxels."""
    shape = [n // b * b for n, b in zip(volume.shape, BLOCK, strict=True)]
    cut = volume[: shape[0], : shape[1], : shape[2]]
    parts = [x for n, b in zip(shape, BLOCK, strict=True) for x in (n // b, b)]
    return cut.reshape(parts).mean(axis=(1, 3, 5))


def main(folder: Path) -> None:
    """Print the table."""
    template = read_template(folder)
    levels = load(template.levels).data
    k = np.flatnonzero(((levels > 0) & (levels <= 8)).any(axis=(0, 1)))
    window = (slice(50, 90), slice(52, 92), slice(int(k[0]), int(k[-1]) + 1))
    raw = np.stack([coarse(load(path).data[window]) for path in template.atlas], axis=-1)
    cord = coarse((load(template.cord).data[window] > 0).astype(np.float32)) >= 0.5
    level = np.rint(
        coarse(np.where(levels[window] > 0, levels[window], 0))
        / coarse((levels[window] > 0) + 1e-9)
    )[cord].astype(int)
    truth_shares = raw[cord].astype(np.float64)
    truth_shares /= truth_shares.sum(axis=1, keepdims=True)
    given = truth_shares.astype(np.float32)
    solid = given[:, :36].sum(axis=1, keepdims=True)
    given[:, :36] = np.where(solid > 0.05, given[:, :36] / np.maximum(solid, 0.05), 0.0)
    made = atlas_shares(given, region_names(template), combined_regions(template))
    chance = np.random.default_rng(0)
    truth = np.concatenate([chance.uniform(40, 60, 30), chance.uniform(25, 35, 6), [0.0]])
    clean = truth_shares @ truth
    tables = [
        measure_metric(clean + chance.normal(0, NOISE, len(clean)), made, level, 5.0)
        for _ in range(REPEATS)
    ]
    volume = truth_shares.sum(axis=0)
    wanted = [truth[list(r.members)] @ volume[list(r.members)] for r in made.regions]
    sizes = [volume[list(r.members)].sum() for r in made.regions]
    aim = {
        (r.kind, r.name, r.side): w / s for r, w, s in zip(made.regions, wanted, sizes, strict=True)
    }
    rows = []
    for where, kinds in (("all", ["tract"]), ("C4", ["tract"]), ("all", ["column", "tissue"])):
        each = [t[(t["vertebral_level"] == where) & t["kind"].isin(kinds)] for t in tables]
        keys = list(zip(each[0]["kind"], each[0]["region"], each[0]["side"], strict=True))
        true = np.array([aim[key] for key in keys])
        for name in ESTIMATES:
            error = np.stack([t[name].to_numpy(float) for t in each]) - true
            rows.append(
                {
                    "regions": f"{'+'.join(kinds)}, {where}",
                    "estimate": name,
                    "bias": np.nanmean(np.abs(np.nanmean(error, axis=0))),
                    "rmse": np.sqrt(np.nanmean(error**2)),
                    "known": f"{np.isfinite(error).all(axis=0).sum()} of {len(true)}",
                }
            )
    sys.stdout.write(f"{len(clean)} voxels of cord\n")
    sys.stdout.write(pd.DataFrame(rows).round(2).to_string(index=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
