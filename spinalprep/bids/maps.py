"""Maps that people bring along (--metric), and images that make one together."""

from collections.abc import Iterable, Mapping
from glob import glob
from pathlib import Path

from spinalprep.bids.names import parse_name
from spinalprep.bids.session import RUN_LIKE, Scan
from spinalprep.errors import InputError, UsageError

MT_RATIO = "MTR"


def glob_maps(root: Path, metrics: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """Return the files that fit each pattern.

    Parameters
    ----------
    root : Path
        The BIDS folder, where relative patterns start.
    metrics : mapping of str to str
        Name to pattern (``**`` goes through folders).

    Raises
    ------
    UsageError
        If a pattern fits no NIfTI file.
    """
    found = {}
    for name, pattern in metrics.items():
        paths = sorted(glob(pattern, root_dir=root, recursive=True))
        files = tuple(root / path for path in paths if path.endswith((".nii", ".nii.gz")))
        if not files:
            raise UsageError(f"--metric {name}={pattern}: no NIfTI file fits (below {root})")
        found[name] = files
    return found


def pick_map(name: str, files: Iterable[Path], reference: Scan) -> Path | None:
    """Return the file that belongs to a reference image; None where there is none.

    A file belongs to the participant and session that its name says, or else its folders. Where
    it says ``run`` or ``chunk``, these must be the reference's.

    Raises
    ------
    InputError
        If several fit.
    """
    fitting = [path for path in files if _belongs(path, reference)]
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting[:3])
        raise InputError(
            f"--metric {name}: {len(fitting)} files fit {reference.stem} ({names}); "
            "expected one: make the pattern narrower"
        )
    return fitting[0] if fitting else None


def mt_pair(reference: Scan, others: Mapping[str, Scan]) -> tuple[str, str] | None:
    """Return the names of the images with and without the MT pulse.

    Parameters
    ----------
    reference : Scan
        Its name is empty.
    others : mapping of str to Scan
        By the names of their stages.

    Returns
    -------
    pair : tuple of (on, off) or None
        Two MTS images that differ in nothing but the pulse; of several pairs the first with the
        reference in it, else the first.
    """
    scans = {"": reference, **others}
    series = {name: scan for name, scan in scans.items() if scan.contrast == "MTS"}
    pairs = [
        (on, off)
        for on, first in series.items()
        for off, second in series.items()
        if _pulse(first) == "on" and _pulse(second) == "off" and _rest(first) == _rest(second)
    ]
    return min(pairs, key=lambda pair: "" not in pair, default=None)


def _belongs(path: Path, scan: Scan) -> bool:
    entities, _, _ = parse_name(path.name)
    told = {"sub": scan.participant, "ses": scan.session}
    for key, value in told.items():
        folders = [part[4:] for part in path.parent.parts if part.startswith(f"{key}-")]
        if entities.get(key, folders[-1] if folders else None) != value:
            return False
    return all(entities.get(key) in (None, scan.entities.get(key)) for key in RUN_LIKE)


def _pulse(scan: Scan) -> str:
    return scan.entities.get("mt", "off")


def _rest(scan: Scan) -> dict[str, str]:
    """Return what an image says beside its pulse."""
    return {"flip": "1"} | {key: value for key, value in scan.entities.items() if key != "mt"}
