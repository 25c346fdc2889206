"""A person's images of one visit, and which of them the others are registered to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from spinalprep.bids.names import CONTRASTS, image_stem
from spinalprep.errors import InputError
from spinalprep.image import volume

RUN_LIKE = ("run", "chunk")  # each gets its own outputs


@dataclass(frozen=True)
class Scan:
    """One raw image file.

    Attributes
    ----------
    root : Path
        The BIDS folder.
    relative : str
        The file below ``root``, with forward slashes.
    participant, session : str, str or None
        Labels without ``sub-`` and ``ses-``.
    contrast : str
        ``T2w``, ``T1w``, ``T2starw`` or ``MTS``.
    entities : mapping of str to str
        What else the name says, by short key (``acq``, ``run``, ``flip``, ``mt`` ...).
    metadata : mapping
        The sidecar's content, empty where there is none.
    """

    root: Path
    relative: str
    participant: str
    session: str | None
    contrast: str
    entities: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / self.relative

    @property
    def stem(self) -> str:
        """The file's name without extension; manual labels begin with it."""
        return image_stem(self.path)

    @property
    def uri(self) -> str:
        """The file as a BIDS URI, as it stands in ``Sources``."""
        return f"bids:raw:{self.relative}"


@dataclass(frozen=True)
class Session:
    """What there is of one participant at one visit.

    Attributes
    ----------
    participant, session : str, str or None
        Labels without ``sub-`` and ``ses-``.
    scans : tuple of Scan
        In the order of their names; empty where the participant has no usable image.
    warnings : tuple of str
        One line for each oddity met while reading.
    left_out : tuple of str
        One line for each image that is there and not worked on.
    """

    participant: str
    session: str | None
    scans: tuple[Scan, ...]
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return ``sub-01`` or ``sub-01_ses-1``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")


@dataclass(frozen=True)
class ReferenceRun:
    """One reference image, and the images that are registered to it."""

    reference: Scan
    others: tuple[Scan, ...] = ()


def reference_runs(session: Session, reference_anat: str = "auto") -> tuple[ReferenceRun, ...]:
    """Choose the reference contrast and give each of its runs the images that go with it.

    Parameters
    ----------
    session : Session
        The images of one visit.
    reference_anat : str
        A contrast, or ``auto``: T2w, else T1w, else T2starw, else MTS.

    Returns
    -------
    reference_runs : tuple of ReferenceRun
        One per run (or chunk) of the reference contrast. Among several acquisitions the one
        with the longest superior-inferior coverage, then the smallest voxel, then the first
        name is the reference; of MTS the images with the pulse on come before the others.
        An acquisition of the same contrast that shows another part of the body (less than a third
        of its height is beside the reference) is a reference of its own. Everything else belongs to
        the first run.

    Raises
    ------
    InputError
        If there is no image, or none of the contrast that was asked for.
    """
    contrast = _reference_contrast(session, reference_anat)
    candidates = [scan for scan in session.scans if scan.contrast == contrast]
    best, *more = _acquisitions(candidates)
    runs = list(best)
    for group in more:
        runs += group if _shows_another_part(group, runs) else ()
    others = tuple(scan for scan in session.scans if scan not in runs)
    first, *rest = sorted(runs, key=_run_order)
    return (ReferenceRun(first, others), *(ReferenceRun(scan) for scan in rest))


def coverage(path: Path) -> tuple[float, float]:
    """Return the superior-inferior extent in mm and the voxel volume in mm3, from the header.

    The extent is measured along the voxel axis that points most nearly up. A file whose header
    can't be read has no extent and an infinite voxel, so that it is never preferred.
    """
    try:
        image: Any = nib.loadsave.load(path)
        affine = volume.world_affine(image)
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        upright = int(np.argmax(np.abs(affine[2, :3]) / sizes))
        extent = float(image.shape[upright] * sizes[upright])
        voxel = float(np.prod(sizes))
    except Exception:  # nibabel, zlib and the file system raise a dozen kinds
        return 0.0, float("inf")
    usable = np.isfinite(extent) and np.isfinite(voxel) and voxel > 0
    return (extent, voxel) if usable else (0.0, float("inf"))


def _reference_contrast(session: Session, wanted: str) -> str:
    """Return the contrast of the reference image."""
    present = [name for name in CONTRASTS if any(s.contrast == name for s in session.scans)]
    if not present:
        raise InputError(f"{session.name} has no T1w, T2w, T2starw or MTS image to work on")
    if wanted == "auto":
        return present[0]
    if wanted not in present:
        raise InputError(
            f"{session.name} has no {wanted} image (it has {', '.join(present)}); "
            f"expected one because of --reference-anat {wanted}"
        )
    return wanted


def _acquisitions(scans: Sequence[Scan]) -> list[tuple[Scan, ...]]:
    """Group the images of a contrast by acquisition, the best one first."""
    ordered = sorted(scans, key=_acquisition)
    groups = [tuple(group) for _, group in groupby(ordered, _acquisition)]
    if len(groups) == 1:
        return groups
    return sorted(groups, key=lambda group: (_pulse_off(group), *_rank(group)))


def _acquisition(scan: Scan) -> tuple[tuple[str, str], ...]:
    """Return what the images of one acquisition share: all entities but run and chunk."""
    return tuple(sorted(item for item in scan.entities.items() if item[0] not in RUN_LIKE))


def _shows_another_part(group: Sequence[Scan], runs: Sequence[Scan]) -> bool:
    """Tell whether images lie beside less than a third of their own height of all that is there."""
    if _pulse_off(group):  # one of a pair that makes a ratio
        return False
    own, taken = ([_span(scan.path) for scan in scans] for scans in (group, runs))
    if not np.isfinite([*own, *taken]).all():
        return False
    return all(
        max(min(top, end) - max(bottom, start) for start, end in taken) < (top - bottom) / 3
        for bottom, top in own
    )


def _span(path: Path) -> tuple[float, float]:
    """Return the lowest and highest z in RAS+ mm, from the header; NaN where it can't be read."""
    try:
        shape, affine = volume.read_grid(path)
    except Exception:  # nibabel, zlib and the file system raise a dozen kinds
        return float("nan"), float("nan")
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in shape))))
    z = volume.to_world(corners, affine)[:, 2]
    return float(z.min()), float(z.max())


def _pulse_off(group: Iterable[Scan]) -> bool:
    return any(s.contrast == "MTS" and s.entities.get("mt") != "on" for s in group)


def _rank(group: Sequence[Scan]) -> tuple[float, float, str]:
    """Order acquisitions: longest coverage, smallest voxel, first name."""
    extent, voxel = max((coverage(s.path) for s in group), key=lambda c: (c[0], -c[1]))
    # a tenth of a millimeter: rounding in an affine is no difference in coverage
    return -round(extent, 1), round(voxel, 3), min(scan.stem for scan in group)


def _run_order(scan: Scan) -> tuple[int, str, str]:
    run = scan.entities.get("run", "0")
    return int(run) if run.isdigit() else 0, scan.entities.get("chunk", ""), scan.stem
