"""Learning rates over the steps of a training."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import UsageError

WARM_UP = 100
SHAPES = ("cosine", "constant", "triangular", "triangular2", "restarts")
OPTIMIZERS = ("AdamW", "Adam", "RMSprop", "Adadelta")


@dataclass(frozen=True)
class Schedule:
    """Length of a run, and its learning rates.

    Attributes
    ----------
    steps : int
        Optimizer steps in all.
    rate : float
        Peak learning rate.
    save_every : int
        Steps between checkpoints.
    run : str
        What is trained on what; only a checkpoint of the same run is resumed.
    shape : str
        ``cosine``: the peak is reached after 100 steps, then cosine decay to zero, reached at
        ``zero_at``. ``constant``.
        ``triangular``: up and down between ``lowest`` and the peak in every cycle [1]_;
        ``triangular2``: the height is halved with every cycle. ``restarts``: cosine decay from
        the peak to ``lowest`` in every cycle [2]_.
    lowest : float
        Learning rate at the bottom of a cycle.
    cycle : int
        Steps of a cycle.
    zero_at : int
        Step at which a cosine would reach zero; the last one if it is later than this.
    bfloat16 : bool
        Convolve in bfloat16: a third less time on processors that have it; weights stay float32.
    optimizer : str
        One of ``OPTIMIZERS``, torch's name for it.

    References
    ----------
    .. [1] Smith (2017), "Cyclical learning rates for training neural networks", WACV,
       doi:10.1109/WACV.2017.58.
    .. [2] Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
       ICLR, arXiv:1608.03983.
    """

    steps: int
    rate: float
    save_every: int = 200
    run: str = ""
    shape: str = "cosine"
    lowest: float = 0.0
    cycle: int = 400
    zero_at: int = 0
    bfloat16: bool = False
    optimizer: str = "AdamW"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise UsageError(f"schedule {self.shape!r}: expected one of {', '.join(SHAPES)}")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(
                f"optimizer {self.optimizer!r}: expected one of {', '.join(OPTIMIZERS)}"
            )
        if self.cycle < 2 or not 0 <= self.lowest <= self.rate:
            raise UsageError(
                f"schedule {self.shape!r}: got a cycle of {self.cycle} steps between "
                f"{self.lowest:g} and {self.rate:g}; expected 2 or more, lowest first"
            )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        if self.shape == "cosine":
            warm = min(1.0, (step + 1) / WARM_UP)
            zero = max(self.zero_at, self.steps)
            return self.rate * warm * 0.5 * (1 + math.cos(math.pi * step / zero))
        if self.shape == "constant":
            return self.rate
        cycle, place = divmod(step / self.cycle, 1.0)
        height = 0.5 * (1 + math.cos(math.pi * place))
        if self.shape != "restarts":
            height = 1 - abs(2 * place - 1)
        if self.shape == "triangular2":
            height /= 2**cycle
        return self.lowest + (self.rate - self.lowest) * height


def rising_rates(low: float, high: float, steps: int) -> NDArray[np.float64]:
    """Return the rates of a range test, from low to high in equal ratios."""
    return np.geomspace(low, high, steps)


def suggest_rates(
    rates: NDArray[np.float64], losses: NDArray[np.float64], smooth: float = 0.02
) -> tuple[float, float]:
    """Return the bounds of a cyclical schedule from a range test.

    Parameters
    ----------
    rates, losses : ndarray of float, shape (N,)
        Rising learning rates and the loss after a step at each.
    smooth : float
        Width of the Gaussian over the steps, as a share of N.

    Returns
    -------
    lowest, peak : float
        The rate at which the smoothed loss has fallen by a tenth of its whole fall, and half of
        the rate at which it has fallen by nine tenths: behind it the curve is flat or ragged.

    Raises
    ------
    UsageError
        If the loss never falls: the range is wrong, or nothing is learned.

    References
    ----------
    .. [1] Smith (2017), see `Schedule`: the range test. How its curve becomes two numbers is ours.
    """
    known = np.isfinite(losses)
    width = max(smooth * len(losses), 0.5)
    reach = np.arange(len(losses))
    kernel = np.exp(-0.5 * ((reach[:, None] - reach[None, known]) / width) ** 2)
    curve = kernel @ losses[known] / np.maximum(kernel.sum(axis=1), 1e-12)
    bottom = int(np.argmin(np.where(known, curve, np.inf)))
    fall = curve[0] - curve[bottom]
    if bottom == 0 or fall <= 0.02 * abs(curve[0]):
        raise UsageError(
            f"the loss does not decrease between rates {rates[0]:g} and {rates[-1]:g}; try "
            "another range, or more steps"
        )
    lowest, ended = (
        float(rates[np.flatnonzero(curve[: bottom + 1] <= curve[0] - share * fall)[0]])
        for share in (0.1, 0.9)
    )
    return lowest, max(ended / 2, lowest)
