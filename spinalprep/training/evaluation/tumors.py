"""How far called tumors are from the truth, by the measures of Lemay et al. (2021)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.lesion.instances import EVERY_NEIGHBOUR
from spinalprep.networks.tumor_maps import Mask, Structures

Floats = NDArray[np.float64]
LEAST_OVERLAP_MM3 = 6.0  # of a structure that counts as detected
MEASURES = (
    "dice",
    "dice_where_present",
    "detected",
    "false",
    "precision",
    "recall",
    "volume_difference",
    "volume_difference_absolute",
)
# Table 4 of the paper, percent: mean over 12 splits of private data of 343 patients
PAPER = {
    "dice": {"abnormality": 76.7, "tumor": 61.8, "cavity": 55.4, "edema": 31.0},
    "dice_where_present": {"cavity": 65.2, "edema": 47.4},
    "detected": {"abnormality": 98.7, "tumor": 90.6, "cavity": 93.8, "edema": 87.3},
    "false": {"abnormality": 9.9, "tumor": 17.2, "cavity": 23.3, "edema": 46.3},
    "precision": {"abnormality": 78.7, "tumor": 74.3, "cavity": 60.5, "edema": 41.4},
    "recall": {"abnormality": 77.5, "tumor": 64.3, "cavity": 67.5, "edema": 46.9},
    "volume_difference": {"abnormality": -3.4, "tumor": -26.0, "cavity": -34.4, "edema": 4.5},
    "volume_difference_absolute": {
        "abnormality": 22.1,
        "tumor": 75.3,
        "cavity": 61.8,
        "edema": 67.0,
    },
}
REPEATS = 2000


def score_tumors(
    found: Structures[Mask], truth: Structures[Mask], voxel_mm3: float
) -> pd.DataFrame:
    """Compare what was called in one image with the truth.

    Parameters
    ----------
    found, truth : Structures of bool
        On one grid.
    voxel_mm3 : float
        Volume of a voxel.

    Returns
    -------
    table : DataFrame
        A row per structure, in percent: ``dice`` (0 where a structure is called that is not there,
        NaN where there is none and none is called), ``dice_where_present``, ``precision``,
        ``recall``, ``volume_difference`` (truth minus found over truth: negative is too much) and
        its absolute value; and pieces of at least 6 mm3: ``pieces`` of the truth, of which
        ``hit`` by 6 mm3 or more, ``called``, of which ``missed`` the truth.
    """
    rows = []
    for (name, ours), (_, theirs) in zip(found.items(), truth.items(), strict=True):
        both, called, true = (int(m.sum()) for m in (ours & theirs, ours, theirs))
        dice = 100 * _share(2 * both, called + true)
        change = 100 * _share(true - called, true)
        hit, pieces = _overlapping(theirs, ours, voxel_mm3)
        met, own = _overlapping(ours, theirs, voxel_mm3)
        rows.append(
            {
                "structure": name,
                "dice": dice,
                "dice_where_present": dice if true else np.nan,
                "precision": 100 * _share(both, called),
                "recall": 100 * _share(both, true),
                "volume_difference": change,
                "volume_difference_absolute": abs(change),
                "pieces": pieces,
                "hit": hit,
                "called": own,
                "missed": own - met,
                "truth_cm3": true * voxel_mm3 / 1000,
                "found_cm3": called * voxel_mm3 / 1000,
            }
        )
    return pd.DataFrame(rows)


def summarise_tumors(tables: Iterable[pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Return means over people with 95 % bootstrap intervals, beside the paper's.

    Parameters
    ----------
    tables : iterable of DataFrame
        One per person, see `score_tumors`.
    seed : int
        Of the bootstrap over people.

    Returns
    -------
    table : DataFrame
        A row per structure and measure: ``n`` people it is known of, ``value``, ``lower``,
        ``upper``, ``paper`` (private data of patients: not comparable, only beside). ``detected``
        and ``false`` are shares of pieces, of the truth and of what was called.
    """
    people = list(tables)
    chance = np.random.default_rng(seed)
    drawn = chance.integers(len(people), size=(REPEATS, len(people)))
    everybody = np.arange(len(people))[None]
    rows = []
    for name in people[0]["structure"]:
        own = pd.concat([t[t["structure"] == name] for t in people], ignore_index=True)
        for measure in MEASURES:
            part, whole = _sums(own, measure)
            resampled = _percent(part, whole, drawn)
            known = resampled[~np.isnan(resampled)]
            low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
            rows.append(
                {
                    "structure": name,
                    "measure": measure,
                    "n": int(whole.sum()),
                    "value": float(_percent(part, whole, everybody)[0]),
                    "lower": low,
                    "upper": high,
                    "paper": PAPER[measure].get(name, np.nan),
                }
            )
    return pd.DataFrame(rows)


def _sums(own: pd.DataFrame, measure: str) -> tuple[Floats, Floats]:
    """Return what each person adds to a figure in percent, and of how much."""
    pieces = {"detected": ("hit", "pieces"), "false": ("missed", "called")}
    if measure in pieces:
        part, whole = (own[column].to_numpy(float) for column in pieces[measure])
        return 100 * part, whole
    values = own[measure].to_numpy(float)
    return np.nan_to_num(values), (~np.isnan(values)).astype(float)


def _percent(part: Floats, whole: Floats, index: NDArray[np.intp]) -> Floats:
    """Return the figure of every draw of people, shape (draws, people) to (draws,)."""
    total = whole[index].sum(axis=1)
    share: Floats = np.where(total > 0, part[index].sum(axis=1) / np.maximum(total, 1), np.nan)
    return share


def _overlapping(mask: Mask, other: Mask, voxel_mm3: float) -> tuple[int, int]:
    """Return how many pieces of a mask share 6 mm3 with another, and how many there are."""
    least = LEAST_OVERLAP_MM3 / voxel_mm3 - 1e-6
    labels, count = ndimage.label(mask, EVERY_NEIGHBOUR)
    numbers = range(1, count + 1)
    sizes = np.asarray(ndimage.sum_labels(mask, labels, numbers))
    shared = np.asarray(ndimage.sum_labels(mask & other, labels, numbers))
    large = sizes >= least
    return int((large & (shared >= least)).sum()), int(large.sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
