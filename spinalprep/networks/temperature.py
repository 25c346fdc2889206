"""Probabilities at a temperature: how sharp their edges are, not where they lie."""

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.float32]


def sharpen(probability: Volume, temperature: float) -> Volume:
    """Divide the logits of probabilities by a temperature: below 1 they leave one half.

    Parameters
    ----------
    probability : ndarray of float32, any shape
        0 to 1; 0, 0.5 and 1 stay.
    temperature : float
        Above 0; 1 changes nothing.

    References
    ----------
    .. [1] Guo et al. (2017), "On calibration of modern neural networks", ICML, arXiv:1706.04599.

    Examples
    --------
    >>> sharpen(np.array([0.0, 0.25, 0.5], np.float32), 0.5).tolist()
    [0.0, 0.1..., 0.5]
    """
    if temperature == 1.0:
        return probability
    power = np.float32(1 / temperature)
    inside: Volume = probability**power
    outside: Volume = (1 - probability) ** power
    return inside / (inside + outside)


def sharpen_spread(sd: Volume, probability: Volume, temperature: float) -> Volume:
    """Bring the spread of probabilities to a temperature: times the slope of `sharpen` there.

    Parameters
    ----------
    sd, probability : ndarray of float32, the same shape
        Standard deviation around a probability at temperature 1; small, as the slope is that of
        one point.
    temperature : float
        Above 0; 1 changes nothing.
    """
    if temperature == 1.0:
        return sd
    sharp = sharpen(probability, temperature)
    flat = np.maximum(probability * (1 - probability), np.float32(1e-6))
    spread: Volume = sd * (sharp * (1 - sharp) / flat / np.float32(temperature))
    return spread
