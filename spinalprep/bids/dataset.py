"""The output folder as a dataset: what it says of itself, and who is in it."""

import errno
import json
import logging
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from spinalprep import __version__
from spinalprep.bids.atomic import clear_temporary, put_copy, put_json, put_text
from spinalprep.bids.container import generated_by, mount_hint
from spinalprep.bids.derivative_kinds import NOT_IN_BIDS
from spinalprep.bids.derivatives import PAM50_URL, write_table
from spinalprep.bids.labelmaps import lookup_table, vertebra_labels
from spinalprep.bids.labels import labels_folder
from spinalprep.bids.names import is_label
from spinalprep.bids.saved_json import read_object
from spinalprep.bids.saved_tables import MISSING, read_people
from spinalprep.errors import InputError, UsageError
from spinalprep.settings import Settings
from spinalprep.template.files import Template

BIDS_VERSION = "1.10.0"
IGNORED = (
    *("*.html", "logs", "sub-*/figures", "sub-*/log", "sub-*/ses-*/log"),
    *(f"*_{suffix}.*" for suffix in NOT_IN_BIDS),
    *("group*", "status*"),
)
DESCRIPTIONS = {
    "preproc": "reoriented (LAS) and bias-corrected; not skull-stripped",
    "auto": "automatic result, kept where a manual label replaced it",
    "uncertainty": (
        "standard deviation of the network's probability over four augmented views "
        "of the image: unmodified, mirrored, darker, brighter"
    ),
    "template": (
        "the template's mask warped to the image; its Dice with the cord is a quality gate"
    ),
    "coverage": (
        "part of the template in the field of view, in slices in which the cord was found"
    ),
    "lower": "lower limit of a 95 % interval",
    "upper": "upper limit of a 95 % interval",
    "soft": "probabilities instead of masks",
    "mean": "mean over participants, the median of each cord scaled to 1",
    "perslice": "one row per axial slice",
    "perlevel": "one row per vertebral level",
    "perregion": "one row per vertebral level, region and lesion",
    "total": "one row for the whole image",
    "MTR": "magnetization transfer ratio",
}
ATLAS_REFERENCE = (
    "De Leener et al. (2018), PAM50: unbiased multimodal template of the brainstem and spinal "
    "cord aligned with the ICBM152 space, NeuroImage 165:170-179, "
    "doi:10.1016/j.neuroimage.2017.10.041"
)
README = """# Spinal cord MRI, processed with spinalprep

Made by spinalprep {version} from a raw BIDS dataset (see `dataset_description.json`).

- `sub-*.html`: a report per participant; look at it before you use the numbers.
- `sub-*_viewer.html`: the cord in three planes, to scroll through.
- `status.tsv`: who finished, who did not, and why.
- `sub-*/**/anat/`: images, masks, tables and transforms; every one has a JSON beside it.
- `logs/CITATION.md`: what to cite, and a methods text.

Masks are on the grid of the reference image that `space-` names; `space-PAM50` (or
`space-Generic`) is the template's. `from-A_to-B` transforms resample A on the grid of B.
What the values of a `dseg` stand for is in its JSON (`LabelMap`).
"""

_log = logging.getLogger("spinalprep")
_UNMOUNTED = (errno.EROFS, errno.EACCES, errno.ENOENT)  # in a container


def check_folders(settings: Settings) -> None:
    """Refuse output and work folders that can't be used, before any work.

    Raises
    ------
    UsageError
        If a folder can't be made or written, is the dataset itself or one of its participants,
        or holds another dataset.
    """
    if settings.out_dir.resolve() == settings.bids_dir.resolve():
        raise UsageError(
            f"the output folder is the dataset itself ({settings.out_dir}); "
            f"expected another one, for example {settings.bids_dir / 'derivatives' / 'spinalprep'}"
        )
    raw = settings.bids_dir.resolve()
    for what, folder in (("output", settings.out_dir), ("work", settings.work_dir)):
        inside = folder.resolve()
        if inside == raw:
            raise UsageError(
                f"the {what} folder is the dataset itself ({folder}); expected another"
            )
        if raw in inside.parents and inside.relative_to(raw).parts[0].startswith("sub-"):
            raise UsageError(
                f"the {what} folder {folder} is inside the folder of a raw participant; "
                f"expected another one, for example {settings.bids_dir / 'derivatives'}"
            )
    _check_owner(settings.out_dir)
    _check_writable("the output folder", settings.out_dir)
    _check_writable("the work folder", settings.work_dir)
    _check_kept(settings)
    _check_temporary()


def write_dataset(
    settings: Settings, participants: Sequence[str], template: Template | None = None
) -> None:
    """Empty the temporary folder and write the files that describe the output folder.

    Parameters
    ----------
    settings : Settings
        ``bids_dir`` and ``out_dir`` count.
    participants : sequence of str
        Labels of the participants that are worked on.
    template : Template or None
        PAM50 is linked where it is the template.
    """
    out_dir = settings.out_dir
    clear_temporary(out_dir)
    pam50 = template is not None and template.name == "PAM50"
    links = {"raw": settings.bids_dir.resolve().as_uri()}
    if pam50:
        links["PAM50"] = PAM50_URL
    labels = labels_folder(settings) if settings.manual_labels else None
    if labels is not None:
        links["labels"] = labels.resolve().as_uri()
    put_json(out_dir, out_dir / "dataset_description.json", _description(links))
    write_ignored(out_dir)
    put_text(out_dir, out_dir / "README.md", README.format(version=__version__))
    _write_changes(out_dir)
    write_participants(settings, participants)


def write_ignored(out_dir: Path) -> None:
    """Write which files the BIDS validator should not look at, and what ``desc-`` means."""
    put_text(out_dir, out_dir / ".bidsignore", "\n".join(IGNORED) + "\n")
    _write_lists(out_dir)


def write_atlas_description(out_dir: Path, template: Template) -> None:
    """Describe the atlas of PAM50; called once an output of it exists, as BIDS wants."""
    if template.name == "PAM50":
        put_json(out_dir, out_dir / "atlas-PAM50_description.json", _atlas(template))


def write_participants(settings: Settings, participants: Sequence[str]) -> None:
    """Copy ``participants.tsv`` and ``.json``; people they lack are added with ``n/a``.

    Everyone in the dataset is listed, so that parallel jobs write the same table.
    """
    out_dir = settings.out_dir
    columns, rows, notes = _read_participants(settings.bids_dir / "participants.tsv")
    for note in notes:
        _log.warning(note)
    everyone = {*participants, *_folders(out_dir), *_folders(settings.bids_dir)}
    for label in sorted(everyone):
        name = f"sub-{label}"
        if name not in rows:
            rows[name] = {"participant_id": name}
    table = pd.DataFrame(
        [{column: row.get(column) or MISSING for column in columns} for row in rows.values()],
        columns=list(columns),
    )
    described = settings.bids_dir / "participants.json"
    usable = _is_object(described)
    write_table(out_dir, out_dir / "participants.tsv", table, dictionary=not usable)
    if usable:
        put_copy(out_dir, out_dir / "participants.json", described)


def age_and_sex(bids_dir: Path, participant: str) -> tuple[float | None, str | None]:
    """Return a participant's age in years and sex (``F``, ``M``) from ``participants.tsv``.

    None where it is not said, or is neither of the words that BIDS allows for them.
    """
    rows = _rows_by_participant(bids_dir / "participants.tsv")
    row = {key.lower(): value for key, value in rows.get(f"sub-{participant}", {}).items()}
    try:
        age = float(row.get("age", ""))
    except ValueError:
        age = float("nan")
    sex = {"f": "F", "female": "F", "m": "M", "male": "M"}.get(row.get("sex", "").strip().lower())
    return (age if 0 < age < float("inf") else None), sex


def _description(links: Mapping[str, str]) -> dict[str, Any]:
    """Return ``dataset_description.json``."""
    return {
        "Name": "spinalprep: spinal cord MRI derivatives",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": generated_by(),
        "SourceDatasets": [{"URL": links["raw"]}],
        "DatasetLinks": dict(links),
    }


def _atlas(template: Template | None) -> dict[str, Any]:
    """Return ``atlas-PAM50_description.json``."""
    release = template.release if template is not None else None
    identity = template.identity if template is not None else ""
    return {
        "Name": "PAM50",
        "AtlasName": "PAM50",
        "Description": "template and white and gray matter atlas of the spinal cord "
        f"(release {release or 'unknown'}, content {identity})",
        "Authors": [
            "De Leener B",
            "Fonov VS",
            "Collins DL",
            "Callot V",
            "Stikov N",
            "Cohen-Adad J",
        ],
        "License": f"see {PAM50_URL}",
        "ReferencesAndLinks": [ATLAS_REFERENCE, PAM50_URL],
        "Species": "human",
    }


def _write_changes(out_dir: Path) -> None:
    """Add this version to ``CHANGES`` if it is not there."""
    path = out_dir / "CHANGES"
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if not any(line.startswith(f"{__version__} ") for line in before.splitlines()):
        entry = f"{__version__} {date.today().isoformat()}\n  - written by spinalprep\n"
        put_text(out_dir, path, entry + before)


def _write_lists(out_dir: Path) -> None:
    """Write what ``desc-`` and the values of vertebral levels mean."""
    names = [f"desc-{name}" for name in DESCRIPTIONS]
    table = pd.DataFrame({"desc_id": names, "description": list(DESCRIPTIONS.values())})
    write_table(out_dir, out_dir / "descriptions.tsv", table, dictionary=False)
    levels = lookup_table(vertebra_labels())
    write_table(out_dir, out_dir / "dseg.tsv", levels, dictionary=False)


def _rows_by_participant(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Return what ``participants.tsv`` says of each participant, read once while it is the same."""
    try:
        status = path.stat()
    except OSError:
        return {}
    return _kept_rows(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)  # of the dataset, of the output folder
def _kept_rows(path: Path, *_state: int) -> Mapping[str, Mapping[str, str]]:
    return _read_participants(path)[1]


def _read_participants(
    path: Path,
) -> tuple[tuple[str, ...], dict[str, dict[str, str]], tuple[str, ...]]:
    """Return columns, rows by participant, and what is odd; an unreadable table is empty."""
    nobody: dict[str, dict[str, str]] = {}
    if not path.exists():
        return ("participant_id",), nobody, ()
    try:
        table = read_people(path)
    except InputError as error:
        return ("participant_id",), nobody, (f"{error}; its participants are listed with n/a",)
    rows = {row["participant_id"]: dict(row) for row in table.rows}
    return table.columns, rows, table.notes


def _is_object(path: Path) -> bool:
    """Tell whether a file is a JSON object."""
    try:
        read_object(path)
    except InputError:
        return False
    return True


def _folders(root: Path) -> set[str]:
    """Return the participants that have a folder."""
    labels = {path.name.removeprefix("sub-") for path in root.glob("sub-*") if path.is_dir()}
    return {label for label in labels if is_label(label)}


def _check_owner(out_dir: Path) -> None:
    """Refuse a folder in which somebody else's dataset lies."""
    path = out_dir / "dataset_description.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        makers = [str(maker.get("Name")) for maker in content.get("GeneratedBy", ())]
    except (OSError, ValueError, AttributeError, TypeError):
        return
    if "spinalprep" not in makers:
        raise UsageError(
            f"{out_dir} contains another dataset ({content.get('Name', 'without name')}); "
            "expected an empty folder or outputs of spinalprep"
        )


def _check_kept(settings: Settings) -> None:
    """Refuse folders of an earlier run that belong to somebody else (another user's container)."""
    wanted = {f"sub-{label}" for label in settings.participant_label}
    kept = [*settings.out_dir.glob("sub-*"), *settings.work_dir.glob("*/sub-*")]
    for folder in [settings.out_dir / "logs", *sorted(kept)]:
        if wanted and folder.name.startswith("sub-") and folder.name not in wanted:
            continue
        for inner, _, _ in os.walk(folder):
            if not os.access(inner, os.W_OK | os.X_OK):
                raise UsageError(
                    f"{inner} belongs to another user and cannot be written; run as that user, "
                    "use other folders, or change its owner"
                )


def _check_writable(what: str, folder: Path) -> None:
    """Refuse a folder that can't be made or written."""
    probe = folder / f".spinalprep-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        hint = mount_hint(folder.absolute()) if error.errno in _UNMOUNTED else ""
        why = "; ".join(filter(None, (error.strerror or str(error), hint)))
        raise UsageError(f"{what} {folder} can't be written: {why}") from error


def _check_temporary() -> None:
    """Refuse a machine on which no temporary file can be written; Python tries several folders."""
    try:
        used = Path(tempfile.gettempdir())
    except FileNotFoundError:
        contained = " (docker run --tmpfs /tmp)" if mount_hint(Path("/tmp")) else ""
        raise UsageError(
            f"no folder for temporary files can be written; set TMPDIR to one{contained}"
        ) from None
    wanted = os.environ.get("TMPDIR")
    if wanted and Path(wanted).absolute() != used.absolute():
        _log.warning("TMPDIR=%s can't be written; temporary files go to %s", wanted, used)
