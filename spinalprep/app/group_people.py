"""What the participant level left for the group level, person by person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from spinalprep.bids.names import parse_name
from spinalprep.bids.status import collect_status
from spinalprep.errors import NoInputError, UsageError
from spinalprep.group.cohort import MISSING, Candidate
from spinalprep.group.consistency import Origin
from spinalprep.settings import Settings

NEEDED = ("coverage", "lesion")
ENDINGS = {
    "coverage": "desc-coverage_mask.nii.gz",
    "lesion": "label-lesion_mask.nii.gz",
    "soft": "label-lesion_probseg.nii.gz",
}
TABLES = {
    "morph": "space-{contrast}_label-SC_desc-perlevel_morph.tsv",
    "lesions": "space-{contrast}_label-lesion_morph.tsv",
    "regions": "space-{contrast}_label-lesion_desc-perregion_morph.tsv",
    "totals": "space-{contrast}_label-lesion_desc-total_morph.tsv",
    "qc": "desc-auto_qc.tsv",
    "slices": "space-{template}_label-SC_desc-perslice_morph.tsv",
}


@dataclass(frozen=True)
class PersonFiles:
    """One image of a person at the group level.

    Attributes
    ----------
    candidate : Candidate
        Who, and what speaks against it.
    origin : Origin
        How its results were made.
    images : mapping of str to Path
        ``coverage``, ``lesion``, ``soft`` and ``image`` in the template's space, those that exist.
    tables : mapping of str to Path
        ``morph``, ``slices``, ``lesions``, ``regions``, ``totals``, ``qc``, those that exist.
    lesions_manual : bool
        Whether a person drew the lesions.
    metrics : tuple of Path
        Tables of maps by region.
    """

    candidate: Candidate
    origin: Origin
    images: Mapping[str, Path]
    tables: Mapping[str, Path]
    lesions_manual: bool = False
    metrics: tuple[Path, ...] = ()


def read_participants(settings: Settings) -> pd.DataFrame:
    """Return ``participants.tsv`` of the dataset, else of the output folder, ``n/a`` as missing."""
    for folder in (settings.bids_dir, settings.out_dir):
        path = folder / "participants.tsv"
        if path.is_file():
            table = pd.read_csv(
                path, sep="\t", dtype=str, na_values=[MISSING, ""], keep_default_na=False
            )
            if "participant_id" in table:
                ids = table["participant_id"].astype(str)
                table["participant_id"] = ids.where(ids.str.startswith("sub-"), "sub-" + ids)
                return table.drop_duplicates("participant_id")
    return pd.DataFrame({"participant_id": pd.Series(dtype=str)})


def find_people(settings: Settings, template: str, participants: pd.DataFrame) -> list[PersonFiles]:
    """Find every image that has a cord in the template's space, and who failed before.

    Parameters
    ----------
    settings : Settings
    template : str
        What ``space-`` says.
    participants : DataFrame
        From `read_participants`; gives cohort and person.

    Raises
    ------
    UsageError
        If a column that was asked for is not in the table.
    NoInputError
        If there is no result in the template's space.
    """
    for column in (settings.cohort_column, settings.person_column):
        if column is not None and column not in participants:
            listed = ", ".join(map(str, participants.columns))
            raise UsageError(f"participants.tsv has no column {column!r}; it has {listed}")
    rows = participants.set_index("participant_id").to_dict("index")
    state = {
        (status.participant_id, status.session_id): status.state
        for status in collect_status(settings.out_dir)
    }
    found = [
        _person(path, template, settings, rows, state)
        for path in sorted(settings.out_dir.glob(f"sub-*/**/*_space-{template}_label-SC_mask.json"))
        if _wanted(path, settings)
    ]
    if not found:
        others = {
            parse_name(path.name)[0]["space"]
            for path in settings.out_dir.glob("sub-*/**/*_space-*_desc-coverage_mask.json")
        }
        hint = f"; there are results in {', '.join(sorted(others))}" if others else ""
        raise NoInputError(
            f"{settings.out_dir} has no cord in space-{template}{hint}; run the participant level "
            "first, with the same --template"
        )
    there = {(p.candidate.participant_id, p.candidate.session_id) for p in found}
    lost = [key for key in state if key not in there and _asked(*key, settings)]
    return found + [_without(key, state[key], settings, rows) for key in sorted(lost)]


def read_exclusions(path: Path | None) -> frozenset[str]:
    """Return who is marked as failed in a file that the reports export.

    The file maps names to marks: ``sub-01: {cord: fail}``; ``fail`` anywhere excludes, ``pass``
    and ``artifact`` don't. A plain list of names excludes all of them.

    Raises
    ------
    UsageError
        If the file can't be read as such.
    """
    if path is None:
        return frozenset()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--exclude-yml {path} can't be read: {reason}") from error
    if isinstance(content, list):
        return frozenset(map(str, content))
    if not isinstance(content, dict):
        raise UsageError(f"--exclude-yml {path}: expected names with marks, as a report exports")
    return frozenset(str(name) for name, marks in content.items() if _fails(marks))


def _fails(marks: object) -> bool:
    if isinstance(marks, Mapping):
        return any(_fails(mark) for mark in marks.values())
    return str(marks) == "fail"


def _wanted(path: Path, settings: Settings) -> bool:
    entities, _, _ = parse_name(path.name)
    session = f"ses-{entities['ses']}" if "ses" in entities else MISSING
    return _asked(f"sub-{entities['sub']}", session, settings)


def _asked(participant: str, session: str, settings: Settings) -> bool:
    people, visits = settings.participant_label, settings.session_label
    if people and participant.removeprefix("sub-") not in people:
        return False
    return not visits or session.removeprefix("ses-") in visits


def _person(
    sidecar: Path,
    template: str,
    settings: Settings,
    rows: Mapping[str, Mapping[str, Any]],
    state: Mapping[tuple[str, str], str],
) -> PersonFiles:
    """Read what one image says of itself."""
    stem = sidecar.name.partition(f"_space-{template}_")[0]
    entities, _, _ = parse_name(f"{stem}_x.y")
    folder = sidecar.parent
    participant = f"sub-{entities['sub']}"
    session = f"ses-{entities['ses']}" if "ses" in entities else MISSING
    cord = _read(sidecar)
    lesion = _read(folder / f"{stem}_space-{template}_label-lesion_mask.json")
    images = {key: folder / f"{stem}_space-{template}_{ending}" for key, ending in ENDINGS.items()}
    contrast = _contrast(folder, stem, template)
    image = _image(folder, stem, template)
    if image is not None:
        images["image"] = image
    names = {"contrast": contrast, "template": template}
    tables = {key: folder / f"{stem}_{name.format(**names)}" for key, name in TABLES.items()}
    present = {key: path for key, path in images.items() if path.is_file()}
    candidate = Candidate(
        participant,
        session,
        entities.get("run", MISSING),
        contrast,
        *_who(participant, settings, rows),
        state=state.get((participant, session), "not in status.tsv"),
        failed_gates=_failed_gates(tables["qc"]),
        level_source=str(cord.get("LevelSource", "unknown")),
        missing=tuple(images[key].name for key in NEEDED if key not in present),
    )
    return PersonFiles(
        candidate,
        _origin(candidate.name, cord, lesion),
        present,
        {key: path for key, path in tables.items() if path.is_file()},
        bool(lesion.get("Manual", False)),
        tuple(sorted(folder.glob(f"{stem}_space-{contrast}_desc-*_metric.tsv"))),
    )


def _without(
    key: tuple[str, str], state: str, settings: Settings, rows: Mapping[str, Mapping[str, Any]]
) -> PersonFiles:
    """Return somebody who never reached the template."""
    participant, session = key
    who = _who(participant, settings, rows)
    candidate = Candidate(
        *(participant, session, MISSING, MISSING, *who),
        state=state,
        level_source="none",
        missing=("a cord in the template's space",),
    )
    return PersonFiles(candidate, Origin(candidate.name, "", ""), {}, {})


def _who(
    participant: str, settings: Settings, rows: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    """Return who it is, and the cohort."""
    row = rows.get(participant, {})
    person = row.get(settings.person_column) if settings.person_column else None
    cohort = row.get(settings.cohort_column) if settings.cohort_column else None
    return (
        participant if person is None or pd.isna(person) else str(person),
        MISSING if cohort is None or pd.isna(cohort) else str(cohort),
    )


def _contrast(folder: Path, stem: str, template: str) -> str:
    """Return the reference contrast: what ``space-`` says in the person's own space."""
    spaces = {parse_name(path.name)[0]["space"] for path in folder.glob(f"{stem}_space-*.tsv")}
    return next(iter(sorted(spaces - {template})), MISSING)


def _image(folder: Path, stem: str, template: str) -> Path | None:
    """Return the image in the template's space (the name of an MTS says its pulse)."""
    own = set(stem.split("_"))
    for path in sorted(folder.glob(f"*_space-{template}_desc-preproc_*.nii.gz")):
        parts = path.name.partition(f"_space-{template}_")[0].split("_")
        extra = {part for part in parts if part.split("-")[0] in ("mt", "flip")}
        if set(parts) - extra == own:
            return path
    return None


def _failed_gates(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    return tuple(table.loc[table["result"] == "FAIL", "metric"])


def _origin(name: str, cord: Mapping[str, Any], lesion: Mapping[str, Any]) -> Origin:
    models: dict[str, str] = {}
    parameters: dict[str, object] = {}
    for sidecar in (cord, lesion):
        model = sidecar.get("Model")
        if isinstance(model, Mapping):
            models[str(model.get("name"))] = str(model.get("sha256"))
        parameters |= sidecar.get("Parameters", {})
    made = cord.get("GeneratedBy") or [{}]
    version = str(made[0].get("Version", "unknown"))
    return Origin(name, version, str(cord.get("SpatialReference", "unknown")), models, parameters)


def _read(path: Path) -> dict[str, Any]:
    """Return a sidecar; one that can't be read is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
