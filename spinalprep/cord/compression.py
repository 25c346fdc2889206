"""How much narrower the cord is at one place than above and below it."""

import numpy as np
from numpy.typing import NDArray

AWAY_MM = 10.0  # from the place to where its neighbourhood begins
EXTENT_MM = 20.0  # length of the neighbourhood above, and of that below
LEAST_SHARE = 0.5  # of either neighbourhood that must be seen


def compression_along(
    s: NDArray[np.float64], values: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the compression of each section against the cord above and below it.

    Parameters
    ----------
    s : ndarray, shape (n,)
        Arc length of the sections in mm, in any order.
    values : ndarray, shape (n,)
        Front-back diameter, or another size; NaN where it was not measured.
    length : ndarray, shape (n,)
        Length along the cord that each section stands for, in mm.

    Returns
    -------
    percent : ndarray of float64, shape (n,)
        100 (1 - d / ((a + b) / 2)): d here, a and b the means over 20 mm of cord from 10 mm above
        and below on. 0 is as wide as there, negative is wider. NaN where less than half of
        either stretch was measured.

    Notes
    -----
    The maximum spinal cord compression of Miyanji et al. [1]_, at every place instead of one that
    a reader marked, with the distances of the Spinal Cord Toolbox (sct_compute_compression).
    A healthy cord is not 0 everywhere: it narrows below its cervical enlargement.

    References
    ----------
    .. [1] Miyanji et al. (2007), "Acute cervical traumatic spinal cord injury: MR imaging findings
       correlated with neurologic outcome", Radiology 243(3):820-827, doi:10.1148/radiol.2433060583.

    Examples
    --------
    >>> import numpy as np
    >>> s = np.arange(0.0, 80.0, 2.0)
    >>> narrow = np.where(s == 40, 6.0, 8.0)
    >>> compression_along(s, narrow, np.full(40, 2.0))[[5, 20]]
    array([nan, 25.])
    """
    weight = np.where(np.isfinite(values), length, 0.0)
    known = np.where(np.isfinite(values), values, 0.0)
    apart = s[None, :] - s[:, None]
    means = []
    for side in (-apart, apart):
        near = np.where((side >= AWAY_MM) & (side <= AWAY_MM + EXTENT_MM), weight, 0.0)
        seen = near.sum(axis=1)
        enough = np.where(seen >= LEAST_SHARE * EXTENT_MM, seen, np.nan)
        means.append(near @ known / enough)
    return np.asarray(100.0 * (1.0 - values / np.mean(means, axis=0)))
