"""From signs of discs along the cord to numbered discs, with the doubt that is left.

The discs of a person are a sequence with known spacings; an image shows a part of it. What speaks
for a disc at every arc length, and for it being C2/C3, is joined with the spacings over all
sequences at once: forward and backward sums give the probability of every disc at every place,
the best path gives the discs. Nothing but a sign of C2/C3, or a hint, tells one
cervical level from the next, so without them the numbers stay unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from spinalprep.image import Float

FIRST, LAST = 3, 25  # C2/C3 is the highest disc (C1/C2 is a joint), L5/S1 the lowest

# Distance from disc n to disc n + 1 in mm: mean and standard deviation over people, as measured
# for the Spinal Cord Toolbox's straightening (De Leener et al. 2017, NeuroImage 145:24-43,
# doi:10.1016/j.neuroimage.2016.10.009); L4 and L5, which it lacks, are taken as high as L3.
MEASURED_MM = {
    3: (18.2, 1.3),
    4: (17.5, 1.6),
    5: (16.9, 1.7),
    6: (16.0, 1.5),
    7: (15.5, 1.6),
    8: (16.5, 1.6),
    9: (19.8, 1.8),
    10: (21.3, 1.8),
    11: (22.1, 1.7),
    12: (22.4, 2.0),
    13: (23.5, 1.9),
    14: (24.4, 1.8),
    15: (25.6, 2.0),
    16: (25.6, 2.0),
    17: (25.5, 2.0),
    18: (27.2, 2.0),
    19: (29.6, 2.0),
    20: (32.0, 2.8),
    21: (34.4, 2.4),
    22: (34.8, 2.8),
    23: (35.0, 3.5),
    24: (35.0, 3.5),
}
# The same of PAM50, an average of 50 people that was straightened in another way (its disc labels,
# De Leener et al. 2018, NeuroImage 165:170-179, doi:10.1016/j.neuroimage.2017.10.041).
_PAM50_BELOW_C2C3 = [18.5, 18.5, 16.5, 15.5, 17.0, 21.5, 23.0, 23.0, 24.5, 25.5, 25.5, 26.5, 27.0]
_PAM50_BELOW_C2C3 += [26.5, 29.0, 31.5, 31.5, 33.5]
PAM50_MM = dict(enumerate(_PAM50_BELOW_C2C3, FIRST))
SIZES = np.exp(np.linspace(-0.27, 0.27, 13))  # factors on a person's spacings
SIZE_SD = 0.10  # of their logarithm
MISSED = 0.05  # chance that a disc in view leaves no sign
HIDDEN = 0.1  # chance that all discs beyond one end of the sequence are in view and leave none
AT_DISC_MM = 4.0  # a disc this near is the same disc
SEEN = np.log(3.0)  # evidence from which on a disc counts as seen
EDGE_MM = 6.0  # a sign nearer to the end of the field of view may be half of something else
FEWEST = 2  # discs that must be seen
HINT_MM, HINT_SPREAD = 4.0, 0.10  # how far off a hint is, and its spacings per mm away from it


@dataclass(frozen=True)
class Evidence:
    """What an image says of discs along the cord.

    Attributes
    ----------
    s : ndarray of float, shape (N,)
        Arc lengths in mm, equidistant; first and last are the ends of the field of view.
    disc : ndarray of float, shape (N,)
        Logarithm of the likelihood ratio of a disc at ``s`` against none.
    c2c3 : ndarray of float, shape (N,)
        Logarithm of the likelihood ratio of a disc at ``s`` being C2/C3 against another.
    """

    s: NDArray[np.float64]
    disc: NDArray[np.float64]
    c2c3: NDArray[np.float64]


@dataclass(frozen=True)
class Sequence:
    """The best sequence of discs, and how sure its numbers are.

    Attributes
    ----------
    disc_s : dict of int to float
        Arc length in mm of every disc of the sequence.
    seen : tuple of int
        Those with a sign of their own; the others lie where the spacings say.
    confidence : float
        Smallest ``probability``.
    first : dict of int to float
        Probability of every number of the uppermost disc that was seen.
    landmark : bool
        Whether anything but spacings speaks for the numbers: a sign of C2/C3, or a hint.
    probability : dict of int to float
        For every disc that was seen, the smaller of two: that a disc there has this number, and
        that the disc of this number is there, within 4 mm.
    cut : tuple of int
        Those less than 6 mm from an end of the field of view: their places are not to be trusted.
    """

    disc_s: dict[int, float] = field(default_factory=dict)
    seen: tuple[int, ...] = ()
    confidence: float = 0.0
    first: dict[int, float] = field(default_factory=dict)
    landmark: bool = False
    probability: dict[int, float] = field(default_factory=dict)
    cut: tuple[int, ...] = ()


def spacing_mm(disc: int) -> tuple[float, float]:
    """Return mean and spread of the distance from a disc to the next, size of the person aside.

    The mean lies between the two sources; they differ by more than people do at T1 (5 mm), and
    half of what they differ by counts as spread.
    """
    mean, spread = MEASURED_MM[disc]
    other = PAM50_MM.get(disc, mean)
    return (mean + other) / 2, float(np.hypot(0.8 * spread, (mean - other) / 2))


def join_discs(
    evidence: Evidence, hint: Mapping[int, tuple[float, float]] | None = None
) -> Sequence:
    """Find the sequence of discs.

    Parameters
    ----------
    evidence : Evidence
        Along the cord.
    hint : mapping of int to (float, float), optional
        Arc length of discs and its standard deviation in mm, from what a person said.

    Notes
    -----
    A hidden semi-Markov chain over discs 3 to 25. The prior is flat over where the body lies
    relative to the field of view; the disc above the first and below the last lie outside it, or
    are hidden. A person's size multiplies all spacings and is summed over. A disc with
    no sign costs its chance, a sign that belongs to no disc is worth nothing.
    """
    s = np.asarray(evidence.s, float)
    if len(s) < FEWEST:
        return Sequence()
    shown = np.log(MISSED + (1 - MISSED) * np.exp(np.clip(evidence.disc, -20.0, 20.0)))
    emission = np.tile(shown, (LAST - FIRST + 1, 1))
    emission[0] += evidence.c2c3
    hinted = {disc: at for disc, at in (hint or {}).items() if FIRST <= disc <= LAST}
    for disc, (place, spread) in hinted.items():
        emission[disc - FIRST] -= np.minimum(0.5 * ((s - place) / spread) ** 2, 40.0)
    inside = [disc for disc, (place, _) in hinted.items() if s[0] <= place <= s[-1]]
    weight = np.exp(-0.5 * (np.log(SIZES) / SIZE_SD) ** 2)
    chains = [_Chain(s, emission, size, inside) for size in SIZES]
    total = weight @ [chain.total for chain in chains]
    if not np.isfinite(total) or total <= 0:
        return Sequence()
    share = sum(w * chain.marginal() for w, chain in zip(weight, chains, strict=True)) / total
    path = chains[int(np.argmax(weight * [chain.best_score() for chain in chains]))].best()
    return _describe(path, evidence, np.asarray(share), bool(hinted))


class _Chain:
    """Forward and backward sums for one size of person."""

    def __init__(
        self,
        s: NDArray[np.float64],
        emission: NDArray[np.float64],
        size: float,
        inside: list[int],
    ) -> None:
        self.emission = np.exp(emission)
        self.start, self.end = np.ones_like(emission), np.ones_like(emission)
        step = s[1] - s[0]
        apart = s[None, :] - s[:, None]
        self.moves = []
        for row, disc in enumerate(range(FIRST, LAST)):
            mean, spread = (size * value for value in spacing_mm(disc))
            density = np.exp(-0.5 * ((apart - mean) / spread) ** 2)
            self.moves.append(density * (apart > 0) * step / (spread * np.sqrt(2 * np.pi)))
            self.start[row + 1] = _beyond(s - s[0], mean, spread)
            self.end[row] = _beyond(s[-1] - s, mean, spread)
        if inside:  # a sequence must reach the discs that a person placed in the field of view
            self.start[max(inside) - FIRST + 1 :] = 0.0
            self.end[: min(inside) - FIRST] = 0.0
        self.forward = self._sum(range(len(emission)), self.start)
        self.backward = self._sum(range(len(emission) - 1, -1, -1), self.end)
        self.total = float((self.forward * self.end).sum())

    def _sum(self, rows: range, open_ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over sequences up to (or from) every disc at every place."""
        sums = np.zeros_like(self.emission)
        before = None
        for row in rows:
            arrive = open_ends[row].copy()
            if before is not None:
                down = rows.step > 0
                arrive += (
                    sums[before] @ self.moves[before] if down else self.moves[row] @ sums[before]
                )
            sums[row] = arrive * self.emission[row]
            before = row
        return sums

    def marginal(self) -> NDArray[np.float64]:
        """Return the weight of every disc at every place, shape (discs, N)."""
        return np.asarray(self.forward * self.backward / self.emission)

    @cached_property
    def _paths(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Weight of the best sequence down to every disc at every place, and where it was before.

        -1 where the sequence begins.
        """
        scores = self.start.copy()
        back = np.full(scores.shape, -1, np.intp)
        for row in range(len(scores)):
            if row:
                arrive = scores[row - 1][:, None] * self.moves[row - 1]
                best = arrive.max(axis=0)
                back[row] = np.where(best > scores[row], arrive.argmax(axis=0), -1)
                scores[row] = np.maximum(best, scores[row])
            scores[row] *= self.emission[row]
        return scores, back

    def best_score(self) -> float:
        """Return the weight of the best sequence."""
        return float((self._paths[0] * self.end).max())

    def best(self) -> dict[int, int]:
        """Return the index of every disc of the best sequence."""
        scores, back = self._paths
        row, k = divmod(int(np.argmax(scores * self.end)), scores.shape[1])
        path = {FIRST + row: k}
        while back[row, k] >= 0:
            k = int(back[row, k])
            row -= 1
            path[FIRST + row] = k
        return dict(sorted(path.items()))


def _beyond(room: NDArray[np.float64], mean: float, spread: float) -> NDArray[np.float64]:
    """Return the chance that the next disc lies beyond ``room`` mm, or is hidden."""
    outside = ndtr((mean - room) / spread)
    return np.asarray(outside + HIDDEN * (1 - outside))


def _describe(
    path: dict[int, int], evidence: Evidence, share: NDArray[np.float64], hinted: bool
) -> Sequence:
    """Return the discs of a path with the probability of their numbers."""
    s = evidence.s
    disc_s = {disc: _peak(evidence, k) for disc, k in path.items()}
    seen = tuple(
        disc for disc, k in path.items() if evidence.disc[_near(s, s[k], 2.0)].max() >= SEEN
    )
    if len(seen) < FEWEST:
        return Sequence(disc_s, seen)
    there = {
        disc: share[:, _near(s, float(s[path[disc]]), AT_DISC_MM)].sum(axis=1) for disc in seen
    }
    sure = {
        disc: float(mass[disc - FIRST] / max(mass.sum(), share[disc - FIRST].sum()))
        for disc, mass in there.items()
    }
    cut = tuple(disc for disc in seen if not s[0] + EDGE_MM <= disc_s[disc] <= s[-1] - EDGE_MM)
    top = there[seen[0]] / there[seen[0]].sum()
    first = {FIRST + n: float(p) for n, p in enumerate(top) if p > 1e-4}
    told = FIRST in seen and evidence.c2c3[_near(s, s[path[FIRST]], 2.0)].max() >= SEEN
    return Sequence(disc_s, seen, min(sure.values()), first, bool(told) or hinted, sure, cut)


def _near(s: Float, place: float, reach: float) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(s - place) <= reach
    return near


def _peak(evidence: Evidence, k: int) -> float:
    """Return the top of the parabola through the evidence around a place, in mm."""
    s, signs = evidence.s, evidence.disc
    if not 0 < k < len(s) - 1:
        return float(s[k])
    below, here, above = signs[k - 1 : k + 2]
    bend = below - 2 * here + above
    shift = 0.5 * (below - above) / bend if bend < -1e-6 else 0.0
    return float(s[k] + np.clip(shift, -0.5, 0.5) * (s[1] - s[0]))
