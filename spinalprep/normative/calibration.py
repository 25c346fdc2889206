"""How the healthy people of the table would measure in the masks of this program.

The table's areas are those of the masks of the Spinal Cord Toolbox. People who are both in a
published table and measured here tell the offset; it is theirs who drew the masks, so that it
holds for one network, one contrast and one range of voxel sizes only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.normative.table import Norms, from_scale, to_scale

SHIPPED = Path(__file__).parents[1] / "data" / "normative" / "calibration_T2w.json"
COLUMNS = (
    "measure",
    "vertebral_level",
    "n",
    "offset",
    "slope",
    "spread",
    "spread_slice",
    "sd_table",
    "usable",
    "usable_slice",
)


@dataclass(frozen=True)
class MaskSource:
    """Where the outline of a cord comes from, as far as it moves what is measured.

    Attributes
    ----------
    contrast : str or None
        ``T2w``, say; None where it is not known.
    weights : str or None
        sha256 of the network's weights; None where a person drew the cord.
    temperature : float
        By which the network's probabilities are softened.
    voxel_mm : tuple of float
        Edges of a voxel of the image.
    altered : tuple of str
        Settings that are not the default ones and change the mask.
    """

    contrast: str | None
    weights: str | None
    temperature: float = 1.0
    voxel_mm: tuple[float, ...] = ()
    altered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """The offset between two ways to outline a cord, and how well it is known.

    Attributes
    ----------
    people : int
        Who were measured both ways.
    made : str
        Date.
    contrast : str
    voxel_mm : tuple of float
        Smallest and largest edge of a voxel.
    network : mapping
        ``name``, ``version``, ``sha256``, ``temperature`` of the cord's.
    table : DataFrame
        A row per measure and vertebral level (C1 = 1): ``n`` people; ``offset``, ours minus
        theirs at the table's mean; ``slope`` of ours over theirs; ``spread``, standard deviation
        of what is left for a person and a level (``spread_slice``: a slice) that were not among
        the people; ``sd_table``, of healthy people, for comparison; ``usable`` and
        ``usable_slice``, where the spread is no wider than that. Sizes on the scale of their
        logarithms, as in `Norms`.
    """

    people: int
    made: str
    contrast: str
    voxel_mm: tuple[float, float]
    network: Mapping[str, Any]
    table: pd.DataFrame

    def refuses(self, source: MaskSource) -> str:
        """Return why the calibration is not that of a mask; empty where it is."""
        low, high = self.voxel_mm
        contrast = source.contrast or "unknown"
        edges = " x ".join(f"{edge:.2g}" for edge in source.voxel_mm)
        obstacles = {
            "the cord was drawn by hand, and manual masks are not calibrated": (
                source.weights is None
            ),
            "the cord mask is from other weights than those calibrated": (
                source.weights != self.network["sha256"]
                or not np.isclose(source.temperature, self.network["temperature"])
            ),
            f"the contrast is {contrast}; only {self.contrast} is calibrated": (
                source.contrast != self.contrast
            ),
            f"voxels of {edges} mm are not calibrated (only {low:g} to {high:g} mm)": (
                not all(low <= edge <= high for edge in source.voxel_mm)
            ),
            f"masks made with {', '.join(source.altered)} are not calibrated": bool(source.altered),
            "the calibration is too uncertain at every level": not self.table["usable"].any(),
        }
        return next((reason for reason, holds in obstacles.items() if holds), "")

    def facts(self) -> dict[str, Any]:
        """Return for sidecars who was measured, when, with what, and how far it is to be trusted.

        Spreads are the median over usable levels, on the scale of `Norms`; levels are numbers,
        C1 = 1.
        """
        usable = self.table[self.table["usable"]].groupby("measure")
        spreads = usable["spread"].median()
        levels = usable["vertebral_level"].agg(lambda numbers: sorted(map(int, numbers)))
        return {
            "People": self.people,
            "Date": self.made,
            "Contrast": self.contrast,
            "VoxelSizeRange": list(self.voxel_mm),
            "Network": dict(self.network),
            "MedianSpread": {str(name): round(float(x), 4) for name, x in spreads.items()},
            "VertebralLevels": {str(name): list(own) for name, own in levels.items()},
        }


@cache
def load_calibration(path: Path = SHIPPED) -> Calibration:
    """Read the calibration that ships with the package, or another of its kind."""
    said = json.loads(path.read_text())
    low, high = said["VoxelSizeRange"]
    return Calibration(
        said["People"],
        said["Date"],
        said["Contrast"],
        (low, high),
        said["Network"],
        pd.DataFrame(said["Levels"], columns=list(COLUMNS)),
    )


def calibrate_norms(norms: Norms, calibration: Calibration | None) -> Norms:
    """Return what healthy people would measure in the masks of a calibration.

    Parameters
    ----------
    norms : Norms
        As they ship.
    calibration : Calibration or None
        None where a mask has none.

    Returns
    -------
    norms : Norms
        Only the measures and levels at which the calibration is usable. With x the table's mean
        on its scale, the mean is x + offset, the variance that of healthy people plus that of the
        calibration. A slope under 1 does not narrow it: noise in what was published makes one
        too. Offsets of slices lie on straight lines between
        the middles of levels. Without a calibration there is nobody to be held against.
    """
    if calibration is None:
        return Norms(norms.table.iloc[:0])
    parts = []
    for measure, rows in calibration.table[calibration.table["usable"]].groupby("measure"):
        own = norms.table[norms.table["measure"] == measure]
        parts.append(_calibrated(str(measure), own, rows.set_index("vertebral_level").sort_index()))
    if not parts:
        return Norms(norms.table.iloc[:0])
    return Norms(pd.concat(parts, ignore_index=True))


def _calibrated(measure: str, norms: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Move the rows of one measure, and widen them."""
    norms = norms[norms["vertebral_level"].isin(rows.index)]
    own = rows.loc[norms["vertebral_level"]]
    slices = norms["template_slice"].notna().to_numpy()
    place = np.where(slices, _place_of(norms), norms["vertebral_level"] + 0.5)
    offset = np.interp(place, rows.index.to_numpy(float) + 0.5, rows["offset"])
    spread = np.where(slices, own["spread_slice"], own["spread"])
    sd = np.hypot(norms["sd"].to_numpy(), spread)
    sd[slices & ~own["usable_slice"].to_numpy(bool)] = np.nan  # their mean still serves the level
    mean = from_scale(measure, to_scale(measure, norms["mean"]) + offset)
    return norms.assign(mean=mean, sd=sd)


def _place_of(norms: pd.DataFrame) -> NDArray[np.float64]:
    """Return the place of each slice along the levels: n at disc n, n + 0.5 in mid-body."""
    groups = norms.groupby(["vertebral_level", "sex"])["template_slice"]
    rank = groups.rank(ascending=False) - 0.5
    return np.asarray(norms["vertebral_level"] + rank / groups.transform("count"), np.float64)
