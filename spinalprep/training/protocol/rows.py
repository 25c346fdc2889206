"""The nine configurations of Bueno et al. 2022, Table 1, and what they gave on private data."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from spinalprep.networks.deep_unet2d import DeepUNet2d
from spinalprep.networks.plain_unet2d import PlainUNet2d
from spinalprep.networks.ra_unet2d import RAUNet2d

LEVELS = {"U-Net": 5, "Deep U-Net": 7, "RA-U-Net": 5}
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "U-Net": PlainUNet2d,
    "Deep U-Net": DeepUNet2d,
    "RA-U-Net": RAUNet2d,
}


@dataclass(frozen=True)
class Figures:
    """Slice-wise Dice, and the Matthews correlation."""

    mean: float
    sd: float
    matthews: float
    p25: float
    p50: float
    p75: float

    def __str__(self) -> str:
        """Return them in the order of the paper."""
        quartiles = f"{self.p25:.2f} / {self.p50:.2f} / {self.p75:.2f}"
        return f"{self.mean:.2f} ± {self.sd:.2f}; {self.matthews:.2f}; {quartiles}"


@dataclass(frozen=True)
class Row:
    """A configuration.

    Attributes
    ----------
    name : str
        By which it is asked for.
    model : str
        One of ``NETWORKS``.
    loss : str
        See `find_loss`.
    rate : float
        Learning rate, or the peak of a cyclical one.
    lowest : float, optional
        Bottom of a cyclical learning rate; the rate is fixed if not given.
    paper : Figures
        Of the published network, on 25 patients.
    """

    name: str
    model: str
    loss: str
    rate: float
    paper: Figures
    lowest: float | None = None

    def network(self, filters: int) -> nn.Module:
        """Return the network, its weights by torch's own source of chance."""
        return NETWORKS[self.model](1, filters, LEVELS[self.model])


def _focal(gamma: float, alpha: float) -> str:
    return f"focal_tversky(gamma={gamma}, alpha={alpha}, beta={1 - alpha:.1f})"


ROWS = (
    Row(
        "unet-tl-0.4",
        "U-Net",
        "tversky(alpha=0.4, beta=0.6)",
        1e-5,
        Figures(0.66, 0.24, 0.68, 0.57, 0.75, 0.84),
    ),
    Row(
        "unet-tl-0.3",
        "U-Net",
        "tversky(alpha=0.3, beta=0.7)",
        1e-5,
        Figures(0.68, 0.24, 0.71, 0.61, 0.77, 0.85),
    ),
    Row(
        "unet-ftl-1.33-0.7",
        "U-Net",
        _focal(1.33, 0.7),
        1e-5,
        Figures(0.62, 0.25, 0.64, 0.53, 0.71, 0.81),
    ),
    Row(
        "unet-ftl-1.33-0.6",
        "U-Net",
        _focal(1.33, 0.6),
        1e-5,
        Figures(0.68, 0.27, 0.70, 0.62, 0.80, 0.87),
    ),
    Row(
        "unet-ftl-1.6-0.6",
        "U-Net",
        _focal(1.6, 0.6),
        1e-5,
        Figures(0.74, 0.23, 0.77, 0.70, 0.82, 0.88),
    ),
    Row(
        "ra-unet-ftl-1.33",
        "RA-U-Net",
        _focal(1.33, 0.6),
        1e-5,
        Figures(0.86, 0.11, 0.89, 0.85, 0.89, 0.92),
    ),
    Row(
        "ra-unet-ftl-1.6",
        "RA-U-Net",
        _focal(1.6, 0.6),
        1e-4,
        Figures(0.80, 0.22, 0.84, 0.82, 0.87, 0.90),
    ),
    Row(
        "deep-unet-clr",
        "Deep U-Net",
        _focal(1.33, 0.6),
        1e-2,
        Figures(0.79, 0.25, 0.83, 0.82, 0.89, 0.92),
        lowest=1e-4,
    ),
    Row(
        "ra-unet-clr",
        "RA-U-Net",
        _focal(1.33, 0.6),
        1e-3,
        Figures(0.904, 0.101, 0.95, 0.90, 0.92, 0.94),
        lowest=1e-5,
    ),
)
BY_NAME = {row.name: row for row in ROWS}
CYCLICAL, FIXED = BY_NAME["ra-unet-clr"], BY_NAME["ra-unet-ftl-1.33"]
