"""Sagittal T2w and T1w scans of a lumbar subject, by the signal of spin echoes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Float, Image
from spinalprep.phantom.lumbar import LumbarPerson
from spinalprep.phantom.lumbar_bones import draw_bones
from spinalprep.phantom.lumbar_canal import draw_canal
from spinalprep.phantom.lumbar_canvas import make_canvas
from spinalprep.phantom.lumbar_tissues import TISSUES, to_structures
from spinalprep.phantom.lumbar_trunk import draw_trunk

# T1 and T2 in ms (of a train of echoes) and protons: of the order of what is published for 1.5 T
# (Stanisz et al. 2005, doi:10.1002/mrm.20605; de Bazelaire et al. 2004,
# doi:10.1148/radiol.2303021331). Protons of flowing blood are what a spin echo leaves of them;
# fluid recovers faster than its T1 says, by the pulses that drive it back.
RELAXATION = {
    "air": (1000.0, 10.0, 0.0),
    "skin": (700.0, 35.0, 0.7),
    "subcutaneous fat": (300.0, 115.0, 1.0),
    "muscle": (1000.0, 38.0, 0.95),
    "intramuscular fat": (330.0, 105.0, 0.95),
    "retroperitoneal fat": (320.0, 110.0, 0.95),
    "organ": (800.0, 50.0, 0.9),
    "other organ": (1000.0, 75.0, 0.9),
    "gas": (1000.0, 10.0, 0.02),
    "mesenteric fat": (320.0, 105.0, 0.95),
    "ligament": (600.0, 20.0, 0.3),
    "cortex": (500.0, 15.0, 0.15),
    "marrow": (560.0, 75.0, 0.7),
    "changed marrow": (420.0, 100.0, 0.85),
    "fatty marrow": (330.0, 100.0, 0.9),
    "sacral cortex": (500.0, 15.0, 0.15),
    "sacral marrow": (500.0, 80.0, 0.72),
    "sacral remnant": (800.0, 45.0, 0.6),
    "annulus": (850.0, 36.0, 0.65),
    "nucleus": (1100.0, 110.0, 0.95),
    "dark nucleus": (900.0, 58.0, 0.8),
    "csf": (2400.0, 800.0, 1.0),
    "cord": (900.0, 85.0, 0.85),
    "cauda equina": (1000.0, 110.0, 0.88),
    "epidural fat": (320.0, 105.0, 0.95),
    "root": (950.0, 80.0, 0.8),
    "flowing blood": (1400.0, 150.0, 0.08),
    "slow blood": (1400.0, 150.0, 0.4),
    "basivertebral vein": (1400.0, 150.0, 0.75),
}
FINE_MM = 0.75  # grid on which tissues are drawn, at most
SUB_SLICES = 3  # drawn within the thickness of a slice


@dataclass(frozen=True)
class LumbarProtocol:
    """How a subject is scanned.

    Attributes
    ----------
    slices, slice_mm, pixel_mm : int, float, float
        Number of sagittal slices, their distance, and the edge of a pixel.
    low, high : tuple of float
        Corners of the field of view, (y, z) in mm.
    t2w, t1w : tuple of float
        Repetition and echo time in ms.
    coil_mm : float
        Over which depth the coil's signal falls to 1/e.
    noise : float
        Standard deviation, as a share of fat's signal under the skin.
    """

    slices: int = 13
    slice_mm: float = 4.5
    pixel_mm: float = 0.8
    low: tuple[float, float] = (-95.0, -80.0)
    high: tuple[float, float] = (125.0, 180.0)
    t2w: tuple[float, float] = (3500.0, 105.0)
    t1w: tuple[float, float] = (550.0, 11.0)
    coil_mm: float = 110.0
    noise: float = 0.02


@dataclass(frozen=True)
class LumbarScan:
    """Images of a subject on one grid, voxel order RAS, with their truth.

    Attributes
    ----------
    t2w, t1w : Image
        float32.
    structures : Image
        uint8, 0 to 11: what is in the middle of a voxel.
    """

    t2w: Image
    t1w: Image
    structures: Image
    protocol: LumbarProtocol = field(default_factory=LumbarProtocol)


def draw_tissues(
    person: LumbarPerson,
    x: Float,
    y: Float,
    z: Float,
) -> NDArray[np.uint8]:
    """Return the tissues (S, A, Z) of sagittal slices at ``x`` with rows ``y`` and columns ``z``.

    Numbers are places in `lumbar_tissues.TISSUES`; the axes rise.
    """
    canvas = make_canvas(person.seed, x, y, z)
    draw_trunk(canvas, person)
    draw_bones(canvas, person)
    draw_canal(canvas, person)
    return canvas.whole.tissues


def draw_protocol(seed: int) -> LumbarProtocol:
    """Draw a protocol within the published table of scanners, and beyond for its field of view."""
    chance = np.random.default_rng([seed, 18])
    shift = chance.uniform(-25, 25)
    length = chance.uniform(200, 280)
    return LumbarProtocol(
        slices=int(chance.integers(9, 16)),
        slice_mm=float(chance.uniform(3.5, 6.0)),
        pixel_mm=float(chance.uniform(0.55, 1.25)),
        low=(-95.0, float(50 + shift - length / 2)),
        high=(float(chance.uniform(90, 130)), float(50 + shift + length / 2)),
        t2w=(float(chance.uniform(2500, 5000)), float(chance.uniform(85, 137))),
        t1w=(float(chance.uniform(400, 750)), float(chance.uniform(8, 16))),
        coil_mm=float(chance.uniform(85, 200)),
        noise=float(chance.uniform(0.01, 0.04)),
    )


def scan(person: LumbarPerson, protocol: LumbarProtocol) -> LumbarScan:
    """Scan a subject.

    Parameters
    ----------
    person : LumbarPerson
        Its seed is that of tissue values and noise, too.
    protocol : LumbarProtocol
    """
    chance = np.random.default_rng([person.seed, 19])
    p = protocol
    fine = max(int(np.ceil(p.pixel_mm / FINE_MM)), 1)
    x = (np.arange(p.slices) - (p.slices - 1) / 2) * p.slice_mm
    y, z = (np.arange(p.low[n], p.high[n], p.pixel_mm) for n in (0, 1))
    rows, columns = (_refined(axis, p.pixel_mm, fine) for axis in (y, z))
    within = (np.arange(SUB_SLICES) - (SUB_SLICES - 1) / 2) * 0.8 * p.slice_mm / SUB_SLICES
    factor = np.exp(chance.normal(0, 0.08, (2, 3, len(TISSUES))))
    values = np.array([RELAXATION[name] for name in TISSUES]).T * factor
    lookups = [_signal(own, *times) for own, times in zip(values, (p.t2w, p.t1w), strict=True)]
    clean = np.zeros((2, len(x), len(y), len(z)), np.float32)
    for n, place in enumerate(x):
        tissues = draw_tissues(person, place + within, rows, columns)
        for image, lookup in zip(clean, lookups, strict=True):
            image[n] = _binned(lookup[tissues].mean(axis=0), fine)
    truth = to_structures(draw_tissues(person, x, y, z))
    affine = np.diag([p.slice_mm, p.pixel_mm, p.pixel_mm, 1.0])
    affine[:3, 3] = x[0], y[0], z[0]
    coil = _coil(y, z, protocol, chance)
    t2w, t1w = (Image(_noisy(own * coil, p.noise, chance), affine) for own in clean)
    return LumbarScan(t2w, t1w, Image(truth, affine), protocol)


def _refined(axis: Float, step: float, fine: int) -> NDArray[np.float64]:
    """Return the middles of ``fine`` parts of every pixel."""
    parts = (np.arange(fine) - (fine - 1) / 2) * step / fine
    return np.asarray((axis[:, None] + parts).ravel())


def _signal(values: NDArray[np.float64], repetition: float, echo: float) -> NDArray[np.float32]:
    """Return the signal of every tissue, that of fat under the skin being 1."""
    t1, t2, protons = values
    signal = protons * (1 - np.exp(-repetition / t1)) * np.exp(-echo / t2)
    return np.asarray(signal / signal[TISSUES.index("subcutaneous fat")], np.float32)


def _binned(image: NDArray[np.float32], fine: int) -> NDArray[np.float32]:
    """Average blocks of ``fine`` x ``fine`` pixels."""
    rows, columns = (n // fine for n in image.shape)
    binned: NDArray[np.float32] = image.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
    return binned


def _coil(
    y: Float, z: Float, p: LumbarProtocol, chance: np.random.Generator
) -> NDArray[np.float32]:
    """Return the sensitivity (A, Z) of a coil under the back: less to the front and at the ends."""
    middle, half = (z[0] + z[-1]) / 2 + chance.uniform(-20, 20), (z[-1] - z[0]) / 2
    depth = np.exp(-(y - y[0]) / p.coil_mm)
    along = np.exp(-(((z - middle) / (1.3 * half)) ** 4))
    return np.asarray(depth[:, None] * along, np.float32)


def _noisy(
    signal: NDArray[np.float32], noise: float, chance: np.random.Generator
) -> NDArray[np.float32]:
    """Return the magnitude of a signal with noise of both channels, slightly blurred in plane."""
    texture = ndimage.gaussian_filter(chance.standard_normal(signal.shape), (0, 1, 1)) * 0.15
    blurred = ndimage.gaussian_filter(signal * (1 + texture), (0, 0.4, 0.4))
    real, imaginary = (noise * chance.standard_normal(signal.shape) for _ in range(2))
    return np.asarray(800 * np.hypot(blurred + real, imaginary), np.float32)
