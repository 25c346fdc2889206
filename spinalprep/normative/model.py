"""Mean and spread of healthy people of both sexes, scanned at many sites."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEXES = ("F", "M")
# Grids of the two ratios over which the likelihood is searched: 5 % apart
SITE_RATIOS = np.concatenate([[0.0], np.geomspace(0.003, 5.0, 80)])
SEX_RATIOS = np.geomspace(0.25, 4.0, 58)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of each sex; women first, men second.

    Attributes
    ----------
    mean : tuple of float
        Of a site drawn at random.
    within : tuple of float
        Standard deviation between people of one sex at one site.
    site : float
        Standard deviation between sites, the same for both.
    """

    mean: tuple[float, float]
    within: tuple[float, float]
    site: float

    @property
    def sd(self) -> tuple[float, float]:
        """Standard deviation of a person of a site that nobody has seen."""
        women, men = (float(np.hypot(own, self.site)) for own in self.within)
        return women, men

    @property
    def together(self) -> tuple[float, float]:
        """Mean and standard deviation of as many women as men."""
        gap = (self.mean[1] - self.mean[0]) / 2
        women, men = self.sd
        return sum(self.mean) / 2, float(np.sqrt((women**2 + men**2) / 2 + gap**2))


def fit_spread(values: Array, male: NDArray[np.bool_], site: NDArray[np.intp]) -> Spread:
    """Fit means by sex and variances within and between sites by restricted likelihood.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One measure of n people.
    male : ndarray of bool, shape (n,)
        Both sexes must occur.
    site : ndarray of int, shape (n,)
        Number of the site, from 0.

    Returns
    -------
    spread : Spread

    Notes
    -----
    value = mean of the sex + effect of the site + what is the person's own, the last two normal,
    with a variance of its own for each sex: a linear mixed model [1]_. The likelihood is profiled
    over the scale and searched on a grid of both ratios of variances, so that the result is the
    same on every machine.

    References
    ----------
    .. [1] Laird and Ware (1982), "Random-effects models for longitudinal data", Biometrics
       38(4):963-974, doi:10.2307/2529876.
    """
    count, total, square = (
        np.stack([np.bincount(site, w * (male == sex), site.max() + 1) for sex in (False, True)])
        for w in (np.ones(len(values)), values - values.mean(), (values - values.mean()) ** 2)
    )
    ratio_site, ratio_men = (a.ravel() for a in np.meshgrid(SITE_RATIOS, SEX_RATIOS))
    precision = np.stack([np.ones_like(ratio_men), 1.0 / ratio_men])  # of either sex, (2, P)
    mass = np.einsum("xp,xj->pj", precision, count)  # of each site
    pull = ratio_site[:, None] / (1.0 + ratio_site[:, None] * mass)
    weight = np.einsum("xp,xj->xpj", precision, count)
    # X' V^-1 X, X' V^-1 y and y' V^-1 y, with V = diagonal + site effect
    left = -np.einsum("xpj,pj,zpj->pxz", weight, pull, weight)
    left[:, [0, 1], [0, 1]] += weight.sum(axis=2).T
    seen = np.einsum("xp,xj->pj", precision, total)
    right = precision.T * total.sum(axis=1) - np.einsum("xpj,pj,pj->px", weight, pull, seen)
    energy = square.sum(axis=1) @ precision - (pull * seen**2).sum(axis=1)
    mean = np.linalg.solve(left, right[..., None])[..., 0]
    rest = energy - (mean * right).sum(axis=1)
    free = len(values) - len(SEXES)
    scale = np.maximum(rest, 1e-12 * max(float(square.sum()), 1e-12)) / free
    log_det = np.log1p(ratio_site[:, None] * mass).sum(axis=1)
    log_det -= np.log(precision[1]) * count[1].sum()
    likelihood = -(free * np.log(scale) + log_det + np.linalg.slogdet(left)[1]) / 2
    best = int(likelihood.argmax())
    women = float(np.sqrt(scale[best]))
    return Spread(
        (float(mean[best, 0] + values.mean()), float(mean[best, 1] + values.mean())),
        (women, women * float(np.sqrt(ratio_men[best]))),
        women * float(np.sqrt(ratio_site[best])),
    )
