"""The group level on a synthetic cohort: what was planted, and what the maps say.

``python benchmarks/group.py COHORT_DIR OUT_DIR`` compares the maps in OUT_DIR (made by ``spinalprep
COHORT_DIR OUT_DIR group --cohort-column cohort``) with ``COHORT_DIR/derivatives/truth``.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from spinalprep.bids.group_names import MapKind, map_path, parse_map
from spinalprep.bids.names import parse_name
from spinalprep.image import load

COMPARED: tuple[MapKind, ...] = ("probability", "lower", "upper", "coverage")
REACH_MM = 6.5  # of a planted lesion from its center


def main() -> None:
    """Print one line per map."""
    cohort_dir, out_dir = (Path(word) for word in sys.argv[1:3])
    truth = cohort_dir / "derivatives" / "truth"
    for path in sorted(truth.glob("cohort-*_label-lesion_probseg.nii.gz")):
        entities, _, _ = parse_name(path.name)
        name, space = entities["cohort"], entities["space"]
        found, low, high, share = (
            load(map_path(out_dir, kind, space, name)).data for kind in COMPARED
        )
        planted = load(path).data
        known = np.isfinite(found)
        inside = (low <= planted) & (planted <= high)
        people = float(share.max())
        sys.stdout.write(
            f"{name}: {known.sum()} voxels known (coverage up to {people:.2f}), planted inside "
            f"the Wilson interval in {inside[known].mean():.3f}, mean {found[known].mean():.4f} "
            f"against {planted[known].mean():.4f}, "
            f"correlation {np.corrcoef(found[known], planted[known])[0, 1]:.2f}\n"
        )
    for path in sorted(out_dir.glob("tpl-*/anat/*.nii.gz")):
        told = parse_map(path)
        if told is None or told.kind != "p":
            continue
        p = load(path)
        centres = load(next(truth.glob("*_label-planted_mask.nii.gz"))).data > 0
        away = ndimage.distance_transform_edt(~centres, sampling=p.voxel_sizes)
        called = np.nan_to_num(p.data, nan=1.0) <= 0.05
        sys.stdout.write(
            f"{path.name}: {called.sum()} voxels at p <= 0.05, "
            f"{(called & (away > REACH_MM)).sum()} of them out of reach of the planted lesions; "
            f"{(called & centres).sum()} of {centres.sum()} planted centers called\n"
        )


if __name__ == "__main__":
    main()
