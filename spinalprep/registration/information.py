"""What two images tell of each other."""

import numpy as np
from numpy.typing import NDArray


def normalised_mutual_information(joint: NDArray[np.float64] | NDArray[np.intp]) -> float:
    """Return (H(a) + H(b)) / H(a, b) of a joint histogram, shape (M, N).

    1 where one tells nothing of the other, 2 where each tells the other wholly [1]_.

    References
    ----------
    .. [1] Studholme et al. (1999), Pattern Recognition 32:71-86,
       doi:10.1016/S0031-3203(98)00091-0.
    """
    share = joint / joint.sum()
    first, second = _entropy(share.sum(axis=0)), _entropy(share.sum(axis=1))
    return (first + second) / max(_entropy(share.ravel()), 1e-9)


def _entropy(share: NDArray[np.float64]) -> float:
    positive = share[share > 0]
    return float(-(positive * np.log(positive)).sum())
