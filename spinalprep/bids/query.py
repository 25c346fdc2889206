"""Find the images to work on, one session at a time."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinalprep.bids.filters import Filters, read_filters
from spinalprep.bids.index import alike, nameless, open_index, participants
from spinalprep.bids.left_out import ignored_folders, unread_images
from spinalprep.bids.names import CONTRASTS, not_labels, parse_name, printable
from spinalprep.bids.saved_json import read_object
from spinalprep.bids.session import Scan, Session
from spinalprep.bids.sidecar import Listings, read_sidecar
from spinalprep.errors import InputError, NoInputError, UsageError
from spinalprep.settings import Settings

SHOWN = 5  # labels named in a message

_log = logging.getLogger("spinalprep")


def find_sessions(settings: Settings) -> Iterator[Session]:
    """Yield the sessions to work on, in the order of their names.

    Only what is asked for is read: the ``anat`` folders of the wanted participants. Sidecars
    are read when a session is yielded.

    Parameters
    ----------
    settings : Settings
        ``bids_dir``, ``participant_label``, ``session_label``, ``bids_filter_file``,
        ``bids_database_dir`` and ``skip_bids_validation`` count.

    Yields
    ------
    session : Session
        A participant without a usable image yields one session without scans.

    Raises
    ------
    NoInputError
        If the folder is no BIDS dataset, a participant does not exist, or there is no image.
    UsageError
        If a filter names an entity that pybids does not know.
    """
    check_dataset(settings.bids_dir)
    labels = _without_ignored(settings.bids_dir, _wanted(settings))
    layout = open_index(
        settings.bids_dir,
        labels if settings.participant_label else None,
        settings.bids_database_dir,
    )
    found: dict[str, dict[str | None, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(set(_matching(layout, settings))):
        entities, _, _ = parse_name(path.name)
        participant, session = _folder_labels(path, settings.bids_dir)
        if entities.get("sub") == participant and entities.get("ses") == session:
            if participant in labels:
                found[participant][session].append(path)
        else:
            _log.warning("%s is ignored: its name does not match its folder", path)
    if not any(label in found for label in labels):
        raise NoInputError(_nothing(settings, labels))
    for label in labels:
        _leave_ignored_visits(settings.bids_dir, label, found[label])
        for session, paths in sorted(found[label].items(), key=lambda item: item[0] or ""):
            yield read_session(settings, label, session, paths)
        if not found[label]:
            why = f"sub-{label} has no T1w, T2w, T2starw or MTS image that matches the request"
            unread = tuple(unread_images(settings.bids_dir, label).values())
            yield Session(label, None, (), (why,), unread)


def check_dataset(bids_dir: Path) -> None:
    """Refuse a folder that is no BIDS dataset.

    Raises
    ------
    NoInputError
        If the folder, its ``dataset_description.json`` or its ``sub-*`` folders are missing.
    """
    if not bids_dir.is_dir():
        raise NoInputError(f"{bids_dir} is not a folder; expected a BIDS dataset")
    description = bids_dir / "dataset_description.json"
    if not description.is_file():
        raise NoInputError(f"{bids_dir} is not a BIDS dataset: it has no {description.name}")
    try:
        read_object(description)
    except InputError as error:
        raise NoInputError(f"{bids_dir} is not a BIDS dataset: {error}") from error
    if not participants(bids_dir):
        odd = [printable(folder) for folder in nameless(bids_dir)]
        why = f"{odd[0]} holds more than letters and digits" if odd else "there is no sub-* folder"
        raise NoInputError(f"{bids_dir} has no participant: {why}")


def read_session(settings: Settings, label: str, session: str | None, paths: list[Path]) -> Session:
    """Return the session of these image files, with their sidecars read."""
    scans: list[Scan] = []
    notes: list[str] = []
    left_out: list[str] = []
    listings: Listings = {}
    for path in _without_twins(paths, left_out):
        entities, contrast, _ = parse_name(path.name)
        if entities.get("part", "mag") != "mag":
            left_out.append(f"{path.name} is ignored: no magnitude image")
            continue
        relative = path.relative_to(settings.bids_dir).as_posix()
        if not settings.skip_bids_validation and not _is_bids(relative):
            notes.append(f"{path.name} is not a valid BIDS name, but is used")
        metadata, broken = read_sidecar(path, settings.bids_dir, listings)
        left_out.extend(broken)
        if not metadata and not broken:
            notes.append(
                f"{path.name} has no metadata in JSON: its acquisition parameters are unknown"
            )
        beside = {key: value for key, value in entities.items() if key not in ("sub", "ses")}
        scans.append(Scan(settings.bids_dir, relative, label, session, contrast, beside, metadata))
    unread = unread_images(settings.bids_dir, label).get(session)
    left_out += [unread] if unread is not None else []
    return Session(label, session, tuple(scans), tuple(notes), tuple(left_out))


def _wanted(settings: Settings) -> tuple[str, ...]:
    """Return the labels to work on; every label that was asked for must exist."""
    present = participants(settings.bids_dir)
    for folder in nameless(settings.bids_dir):
        name = printable(folder)
        _log.warning("%s is left out: its name holds more than letters and digits", name)
    for one, other in alike(present):
        _log.warning(
            "sub-%s and sub-%s differ only in capitals: on file systems that ignore case (macOS, "
            "Windows) their results overwrite each other",
            one,
            other,
        )
    asked = tuple(label.removeprefix("sub-") for label in settings.participant_label)
    absent = [label for label in asked if label not in present]
    if absent:
        more = f" and {len(present) - SHOWN} more" if len(present) > SHOWN else ""
        raise NoInputError(
            f"no participant {', '.join(absent)} in {settings.bids_dir}; there are "
            f"{', '.join(present[:SHOWN])}{more}"
        )
    return tuple(sorted(set(asked))) or present


def _without_ignored(bids_dir: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels that ``.bidsignore`` does not leave out; the others are said."""
    ignored = ignored_folders(bids_dir, [f"sub-{label}" for label in labels])
    for folder in sorted(ignored):
        _log.warning("%s is left out because .bidsignore lists it", folder)
    kept = tuple(label for label in labels if f"sub-{label}" not in ignored)
    if not kept:
        raise NoInputError(f"{bids_dir}: .bidsignore names every participant that is asked for")
    return kept


def _leave_ignored_visits(bids_dir: Path, label: str, found: dict[str | None, list[Path]]) -> None:
    """Take the visits away that ``.bidsignore`` leaves out, and say so."""
    visits = [session for session in found if session is not None]
    if not visits:
        return
    ignored = ignored_folders(bids_dir, [f"sub-{label}/ses-{session}" for session in visits])
    for session in visits:
        if f"sub-{label}/ses-{session}" in ignored:
            _log.warning("sub-%s, ses-%s is left out because .bidsignore lists it", label, session)
            del found[session]


def _matching(layout: Any, settings: Settings) -> Iterator[Path]:
    """Yield the image files that match participants, sessions and filters."""
    query: dict[str, Any] = {"extension": [".nii", ".nii.gz"]}
    if settings.participant_label:
        query["subject"] = [label.removeprefix("sub-") for label in settings.participant_label]
    if settings.session_label:
        query["session"] = [label.removeprefix("ses-") for label in settings.session_label]
    filters = read_filters(settings.bids_filter_file)
    for contrast in CONTRASTS:
        wanted = {**query, **_filter(contrast, filters), "suffix": contrast}
        try:
            names = layout.get(return_type="filename", **wanted)
        except (TypeError, ValueError) as error:
            raise UsageError(f"--bids-filter-file, {contrast.lower()}: {error}") from error
        paths = map(Path, names)  # of names that are none of BIDS `unread_images` tells
        yield from (path for path in paths if not not_labels(parse_name(path.name)[0]))


def _filter(contrast: str, filters: Filters) -> dict[str, Any]:
    """Return the pybids filter of a contrast; ``null`` means without, ``*`` with any value."""
    from bids.layout import Query

    words = {"Query.NONE": Query.NONE, "Query.ANY": Query.REQUIRED, "*": Query.REQUIRED}
    words |= {"Query.REQUIRED": Query.REQUIRED, "Query.OPTIONAL": Query.OPTIONAL}
    chosen: dict[str, Any] = {}
    for key, value in filters.get(contrast.lower(), {}).items():
        if key in ("suffix", "datatype") and value not in (contrast, "anat"):
            raise UsageError(
                f"--bids-filter-file, {contrast.lower()}: {key} is {value!r}; "
                f"only {contrast} images in anat folders can be read as {contrast.lower()}"
            )
        if value is None:
            chosen[key] = Query.NONE
        else:
            chosen[key] = words.get(value, value) if isinstance(value, str) else value
    chosen.pop("datatype", None)
    return chosen


def _folder_labels(path: Path, root: Path) -> tuple[str, str | None]:
    """Return the participant and the session that the folders of a file name."""
    subject, *middle = path.relative_to(root).parts[:-2]
    session = middle[0].removeprefix("ses-") if middle else None
    return subject.removeprefix("sub-"), session


def _without_twins(paths: list[Path], left_out: list[str]) -> Iterator[Path]:
    """Yield the files, of a ``.nii`` and a ``.nii.gz`` of one name the compressed one."""
    names = {path.name for path in paths}
    for path in paths:
        if path.suffix == ".nii" and f"{path.name}.gz" in names:
            left_out.append(f"{path.name} is ignored: {path.name}.gz is beside it")
        else:
            yield path


def _is_bids(relative: str) -> bool:
    """Tell whether the name follows BIDS."""
    from bids_validator import BIDSValidator  # type: ignore[import-untyped]

    return bool(BIDSValidator().is_bids(f"/{relative}"))


def _nothing(settings: Settings, labels: tuple[str, ...]) -> str:
    """Say that no image is left, what was asked for, and what there is instead."""
    asked = []
    if settings.participant_label:
        asked.append(f"participant {', '.join(settings.participant_label)}")
    if settings.session_label:
        asked.append(f"session {', '.join(settings.session_label)}")
    if settings.bids_filter_file is not None:
        asked.append("the filters of --bids-filter-file")
    where = f"{settings.bids_dir} has no T1w, T2w, T2starw or MTS image in an anat folder"
    where += f" that matches {' and '.join(asked)}" if asked else ""
    unread = (line for label in labels for line in unread_images(settings.bids_dir, label).values())
    first = next(unread, None)
    return f"{where}; {first}" if first is not None else where
