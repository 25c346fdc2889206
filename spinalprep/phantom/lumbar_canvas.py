"""Where a lumbar subject is drawn: sagittal slices, with slightly wavy coordinates."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.phantom.lumbar_tissues import NUMBER

Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
WAVES = ((60.0, 1.6), (34.0, 0.8), (17.0, 0.45), (9.0, 0.25))  # lengths and heights in mm
LATTICE_MM = 2.0  # of the textures
MARGIN_MM = 6.0  # by which waves may move a point


@dataclass(frozen=True)
class Part:
    """A box of a canvas: its tissues (a view), and the coordinates of its points.

    Attributes
    ----------
    tissues : ndarray of uint8, shape (S, A, Z)
        Is drawn on.
    x, y, z : ndarray of float32
        Of shapes (S, 1, 1), (S, A, Z) and (S, A, Z).
    """

    tissues: NDArray[np.uint8]
    x: Array
    y: Array
    z: Array

    def paint(self, where: Mask, tissue: str, over: Iterable[int] = ()) -> None:
        """Draw a tissue, over some others alone if they are told."""
        allowed = tuple(over)
        if allowed:
            table = np.zeros(len(NUMBER), bool)
            table[list(allowed)] = True
            where = where & table[self.tissues]
        self.tissues[where] = NUMBER[tissue]

    def frame(self, y: float, z: float, tilt: float) -> tuple[Array, Array]:
        """Return ``u`` and ``v`` of the points in a frame at (y, z); see `lumbar`."""
        away, up = self.y - np.float32(y), self.z - np.float32(z)
        sine, cosine = np.float32(np.sin(tilt)), np.float32(np.cos(tilt))
        return away * cosine - up * sine, away * sine + up * cosine


@dataclass(frozen=True)
class Canvas:
    """Sagittal slices of a subject.

    Attributes
    ----------
    whole : Part
    rows, columns : ndarray of float
        y (A,) and z (Z,) of the grid, without waves, rising.
    lattice : ndarray of float32
        Noise by which textures are drawn, periodic.
    """

    whole: Part
    rows: Array
    columns: Array
    lattice: Array

    def near(self, y: float, z: float, reach: float) -> Part:
        """Return the box around a point (a view)."""
        reach += MARGIN_MM
        i = slice(*np.searchsorted(self.rows, [y - reach, y + reach]).tolist())
        j = slice(*np.searchsorted(self.columns, [z - reach, z + reach]).tolist())
        w = self.whole
        return Part(w.tissues[:, i, j], w.x, w.y[:, i, j], w.z[:, i, j])

    def between(self, front: float, back: float) -> Part:
        """Return the rows between two places from front to back, at every height (a view)."""
        i = slice(*np.searchsorted(self.rows, [back - MARGIN_MM, front + MARGIN_MM]).tolist())
        w = self.whole
        return Part(w.tissues[:, i], w.x, w.y[:, i], w.z[:, i])

    def texture(
        self,
        at: tuple[Array, Array, Array],
        where: Mask,
        stretch: tuple[float, float, float],
        slant: float = 0.0,
    ) -> Array:
        """Return noise of unit variance at some points, zero elsewhere.

        Parameters
        ----------
        at : tuple of ndarray
            Coordinates x, y, z of all points in mm.
        where : ndarray of bool
            The points.
        stretch : tuple of float
            Length of its grains along x, y and z, in steps of the lattice.
        slant : float
            By how much y moves per z, so that fibres run obliquely.
        """
        x, y, z = (np.broadcast_to(axis, where.shape)[where] for axis in at)
        step = np.array(stretch, np.float32)[:, None] * LATTICE_MM
        places = np.stack([x, y + np.float32(slant) * z, z]) / step
        values = ndimage.map_coordinates(
            self.lattice, places, order=1, mode="grid-wrap", output=np.float32
        )
        noise = np.zeros(where.shape, np.float32)
        noise[where] = values / 0.6  # linear interpolation averages
        return noise


def make_canvas(seed: int, x: Array, y: Array, z: Array) -> Canvas:
    """Return an empty canvas of slices at ``x`` (S,) with rows ``y`` (A,) and columns ``z`` (Z,).

    The waves depend on the seed and the place alone, so that slices of any grid fit together.
    """
    chance = np.random.default_rng([seed, 17])
    lattice = chance.standard_normal((24, 48, 48)).astype(np.float32)
    grid = [axis.astype(np.float32) for axis in (x, y, z)]
    at_x, at_y, at_z = grid[0][:, None, None], grid[1][None, :, None], grid[2][None, None, :]
    at = at_x, at_y, at_z
    moved = [_waves(at, chance) for _ in range(2)]
    tissues = np.full(moved[0].shape, NUMBER["air"], np.uint8)
    whole = Part(tissues, at_x, at_y + moved[0], at_z + moved[1])
    return Canvas(whole, y, z, lattice)


def _waves(at: tuple[Array, Array, Array], chance: np.random.Generator) -> Array:
    """Return how far every point is moved in one direction: a sum of waves."""
    x, y, z = at
    moved = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
    for length, height in WAVES:
        turn = chance.standard_normal((2, 3))
        turn *= 2 * np.pi / length / np.linalg.norm(turn, axis=1)[:, None]
        for kx, ky, kz in turn.astype(np.float32):
            phase = np.float32(chance.uniform(0, 2 * np.pi))
            moved += np.float32(height) * np.sin(kx * x + ky * y + phase) * np.cos(kz * z)
    return moved


def ellipse(*terms: tuple[Array, float]) -> Array:
    """Return the sum of squares of offsets over half axes: below 1 inside."""
    total: Array = np.asarray(sum((offset / np.float32(half)) ** 2 for offset, half in terms))
    return total


def capsule(
    u: Array, v: Array, start: tuple[Array | float, float], end: tuple[Array | float, float]
) -> Array:
    """Return the distance of points (u, v) from a line between two points, in mm."""
    du, dv = np.asarray(end[0] - start[0], np.float32), np.float32(end[1] - start[1])
    along = ((u - start[0]) * du + (v - start[1]) * dv) / (du**2 + dv**2)
    along = np.clip(along, 0, 1)
    distance: Array = np.hypot(u - start[0] - along * du, v - start[1] - along * dv)
    return distance
