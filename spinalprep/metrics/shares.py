"""What the voxels of a cord are made of: by the atlas, by gray matter that was seen, or cord."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, back_on, on_grid_of, upright
from spinalprep.metrics.estimate import Shares
from spinalprep.template.regions import CORD, FLUID, SIDES, TISSUES, Region, list_regions


def atlas_shares(
    fraction: NDArray[np.float32], names: Sequence[str], combined: Mapping[str, Sequence[int]]
) -> Shares:
    """Return the shares of the atlas's regions, with white and gray matter as clusters.

    Parameters
    ----------
    fraction : ndarray of float32, shape (M, R)
        In the cord's voxels.
    names, combined
        From `region_names` and `combined_regions`.
    """
    fluid = tuple(n for n, name in enumerate(names) if name.startswith(FLUID))
    clusters = [tuple(combined[name]) for name in TISSUES if name in combined]
    rest = set(range(len(names))) - set(fluid) - {n for group in clusters for n in group}
    groups = (*clusters, tuple(sorted(rest)), fluid)
    return Shares(
        fraction, list_regions(names, combined), fluid, tuple(group for group in groups if group)
    )


def tissue_shares(cord: Image, gm: Image | None = None) -> Shares:
    """Return the cord, and white and gray matter where gray matter was seen.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask, M voxels, any voxel order.
    gm : Image, shape (I, J, K), optional
        Mask or probability on the same voxels. Slices without any count as cord alone: nobody
        looked there.
    """
    inside = cord.data > 0
    whole = Region(CORD, CORD, SIDES[0], (0,))
    gm = None if gm is None else on_grid_of(cord, gm, "the gray matter")
    if gm is None or not (gm.data[inside] > 0).any():
        return Shares(np.ones((int(inside.sum()), 1), np.float32), (whole,))
    share = np.clip(np.nan_to_num(gm.data), 0.0, 1.0) * inside
    slices = upright(cord.with_data(share)).data.max(axis=(0, 1)) > 0
    seen = back_on(np.broadcast_to(slices, upright(cord).shape), cord)[inside]
    grey = np.where(seen, share[inside], 0.0)
    fraction = np.stack([np.where(seen, 1.0 - grey, 0.0), grey, ~seen], axis=-1)
    white, dark = TISSUES.values()
    regions = (
        Region(CORD, CORD, SIDES[0], (0, 1, 2)),
        Region("tissue", white, SIDES[0], (0,)),
        Region("tissue", dark, SIDES[0], (1,)),
    )
    return Shares(fraction.astype(np.float32), regions, (), ((0,), (1,), (2,)))
