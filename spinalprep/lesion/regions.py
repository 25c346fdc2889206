"""Where lesions lie: shares by vertebral level and by region across the cord."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from spinalprep.image import Image, on_grid_of
from spinalprep.levels.discs import level_name
from spinalprep.template.regions import CORD, SIDES, Region

ALL, UNKNOWN = "all", "n/a"
UNASSIGNED = Region("unassigned", "cord beyond the atlas", SIDES[0], ())
OUTSIDE = ("outside", "outside the cord", SIDES[0])
COLUMNS = (
    "vertebral_level",
    "kind",
    "region",
    "side",
    "lesion",
    "region_mm3",
    "lesion_mm3",
    "percent_of_lesion",
    "percent_of_region",
)
TINY = 1e-4  # of a voxel: what rounding leaves of a region that is not there


def measure_regions(
    labels: Image,
    cord: Image,
    levels: Image | None = None,
    shares: NDArray[np.float32] | None = None,
    regions: Sequence[Region] = (),
) -> pd.DataFrame:
    """Measure how lesions spread over levels and regions, and how much of these is lesion.

    Parameters
    ----------
    labels : Image of int, shape (I, J, K)
        Lesions 1 to N.
    cord : Image, shape (I, J, K)
        Cord mask, M voxels; all images have the same voxels, each in any order.
    levels : Image of int, shape (I, J, K), optional
        Vertebral levels, C1 = 1.
    shares : ndarray of float32, shape (M, R), optional
        Share of every region of the atlas in the cord's voxels, in C order; those of a voxel add
        up to one, or are zero where the atlas does not reach.
    regions : sequence of Region
        What they are put together to.

    Returns
    -------
    table : DataFrame
        Tidy. ``vertebral_level`` (``all``, ``C3`` ..., ``n/a`` where it is unknown), ``kind``,
        ``region`` and ``side``; ``lesion``: ``all`` together, or a number; volumes with partial
        volumes counted; ``percent_of_lesion``: which share of the lesion lies there, NaN without
        lesion; ``percent_of_region``: which share of the region is lesion. All regions have a row
        for all lesions, a single lesion those that it touches. Without an atlas there is the cord
        alone.

    Notes
    -----
    With ``cord beyond the atlas`` and ``outside the cord``, columns and gray matter of a lesion
    add up to 100 %, and so do the tracts, and white and gray matter.
    """
    labels = on_grid_of(cord, labels, "the image of lesions")
    levels = None if levels is None else on_grid_of(cord, levels, "the image of levels")
    inside = cord.data > 0
    lesion = labels.data[inside].astype(np.int64)
    level = np.zeros(len(lesion), np.int64)
    if levels is not None:
        level = np.rint(levels.data[inside]).astype(np.int64)
    count = int(labels.data.max(initial=0))
    across, fractions = _fractions(len(lesion), shares, regions)
    found, index = np.unique(level, return_inverse=True)
    key = index * (count + 1) + lesion
    rows = np.arange(len(lesion))
    hot = sparse.csr_array(
        (np.ones(len(key), np.float32), (key, rows)), shape=(len(found) * (count + 1), len(key))
    )
    volume = np.asarray(hot @ fractions, np.float64).reshape(len(found), count + 1, -1)
    names = [level_name(int(n)) if n > 0 else UNKNOWN for n in found]
    if names == [UNKNOWN]:
        names, found = [], found[:0]
    beyond = np.bincount(labels.data[~inside].astype(np.int64), minlength=count + 1)[1:]
    whole = np.concatenate([volume.sum(axis=0, keepdims=True), volume[: len(names)]])
    voxel = cord.voxel_volume
    return _tidy(whole * voxel, beyond * np.float64(voxel), across, [ALL, *names], voxel)


def dominant_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the column (or gray matter) that holds most of each lesion.

    Parameters
    ----------
    table : DataFrame
        From `measure_regions`.

    Returns
    -------
    columns : DataFrame
        ``lesion``, ``column`` and ``column_percent``; empty without an atlas.
    """
    wide = table[
        (table["vertebral_level"] == ALL)
        & (table["side"] == SIDES[0])
        & (table["lesion"] != ALL)
        & ((table["kind"] == "column") | (table["region"] == "gray matter"))
    ]
    best = wide.sort_values("percent_of_lesion", ascending=False, kind="stable")
    best = best.drop_duplicates("lesion")[["lesion", "region", "percent_of_lesion"]]
    best.columns = pd.Index(["lesion", "column", "column_percent"])
    best["lesion"] = best["lesion"].astype(int)
    return best.sort_values("lesion").reset_index(drop=True)


def _fractions(
    count: int, shares: NDArray[np.float32] | None, regions: Sequence[Region]
) -> tuple[list[Region], NDArray[np.float32]]:
    """Return the regions and the share of each in the cord's voxels, shape (M, Q)."""
    whole = Region(CORD, CORD, SIDES[0], ())
    ones = np.ones((count, 1), np.float32)
    if shares is None or not regions:
        return [whole], ones
    kept = [r for r in regions if not (r.kind == CORD and r.side == SIDES[0])]
    member = np.zeros((shares.shape[1], len(kept)), np.float32)
    for column, region in enumerate(kept):
        member[list(region.members), column] = 1.0
    solid = np.zeros(shares.shape[1], np.float32)
    for region in regions:
        solid[list(region.members)] = 1.0
    rest = np.clip(1.0 - shares @ solid, 0.0, 1.0)[:, None]
    return [whole, *kept, UNASSIGNED], np.hstack([ones, shares @ member, rest])


def _tidy(
    volume: NDArray[np.float64],
    beyond: NDArray[np.float64],
    across: Sequence[Region],
    names: Sequence[str],
    voxel: float,
) -> pd.DataFrame:
    """Turn volumes in mm3, shape (levels, lesions + 1, regions), into a tidy table."""
    size = volume.sum(axis=1)  # of the region
    own = volume[:, 1:]
    each = np.concatenate([own.sum(axis=1, keepdims=True), own], axis=1)
    total = each[0, :, 0] + np.concatenate([[beyond.sum()], beyond])
    shown = each > TINY * voxel
    shown[:, 0] = size > TINY * voxel
    at, lesion, region = (part.ravel() for part in np.nonzero(shown))
    table = pd.DataFrame(
        {
            "vertebral_level": np.array(names, object)[at],
            "kind": np.array([r.kind for r in across], object)[region],
            "region": np.array([r.name for r in across], object)[region],
            "side": np.array([r.side for r in across], object)[region],
            "lesion": lesion,
            "region_mm3": size[at, region],
            "lesion_mm3": each[at, lesion, region],
        }
    )
    table = pd.concat([table, _outside(beyond, names)], ignore_index=True)
    whole = total[table["lesion"].to_numpy(int)]
    table["percent_of_lesion"] = 100.0 * table["lesion_mm3"] / np.where(whole > 0, whole, np.nan)
    table["percent_of_region"] = 100.0 * table["lesion_mm3"] / table["region_mm3"]
    table["lesion"] = [ALL if n == 0 else str(n) for n in table["lesion"]]
    return table[list(COLUMNS)]


def _outside(beyond: NDArray[np.float64], names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of what lies outside the cord: no region, no level."""
    each = np.concatenate([[beyond.sum()], beyond])
    numbers = [n for n in range(len(each)) if n == 0 or each[n] > 0]
    kind, region, side = OUTSIDE
    rows = [
        {
            "vertebral_level": level,
            "kind": kind,
            "region": region,
            "side": side,
            "lesion": n,
            "region_mm3": np.nan,
            "lesion_mm3": each[n],
        }
        for level in ([ALL, UNKNOWN] if len(names) > 1 else [ALL])
        for n in numbers
    ]
    return pd.DataFrame(rows)
