"""What the participant level left for the group level, person by person."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spinalprep.bids.cohort import Candidate
from spinalprep.bids.consistency import Origin
from spinalprep.bids.derivative_kinds import TABLE, Kind
from spinalprep.bids.derivative_names import Derivative, find_outputs, output_path, outputs_of
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.names import CONTRASTS, ImageName
from spinalprep.bids.saved_json import read_object
from spinalprep.bids.saved_outputs import read_output
from spinalprep.bids.saved_tables import MISSING, read_people
from spinalprep.bids.status import collect_status
from spinalprep.errors import InputError, NoInputError, UsageError
from spinalprep.settings import Settings

_log = logging.getLogger("spinalprep")

NEEDED: tuple[Kind, ...] = ("coverage_template",)


@dataclass(frozen=True)
class PersonFiles:
    """One image of a person at the group level.

    Attributes
    ----------
    candidate : Candidate
        Who, and what speaks against it.
    origin : Origin
        How its results were made.
    paths : mapping of Kind to Path
        Its outputs, those that exist; without the automatic ones beside manual ones.
    image_name : ImageName or None
        Of the preprocessed image in the template's space: its contrast and pulse.
    lesions_manual : bool
        Whether a person drew the lesions.
    metrics : tuple of Path
        Tables of maps by region.
    """

    candidate: Candidate
    origin: Origin
    paths: Mapping[Kind, Path]
    image_name: ImageName | None = None
    lesions_manual: bool = False
    metrics: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Names of participant, session, run and chunk."""
        return self.candidate.name

    @property
    def coverage(self) -> Path:
        """What the image covers, in the template's space."""
        return self.paths["coverage_template"]

    @property
    def lesion(self) -> Path | None:
        """Lesions in the template's space; None where nobody looked for them."""
        return self.paths.get("lesion_template")

    @property
    def soft(self) -> Path | None:
        """Their probability in the template's space."""
        return self.paths.get("lesion_probability_template")

    @property
    def image(self) -> Path | None:
        """The image in the template's space."""
        return self.paths.get("preproc_template")

    def table(self, kind: Kind) -> pd.DataFrame | None:
        """Read a table of the person's; None where there is none."""
        return read_output(self.paths[kind]) if kind in self.paths else None

    def identified(self, table: pd.DataFrame, *, visit: bool = False) -> pd.DataFrame:
        """Return a table that says first who the person is, and with ``visit`` which visit."""
        c, found = self.candidate, table.copy()
        identity = {"person_id": c.person_id, "cohort": c.cohort}
        if visit:
            identity |= {"participant_id": c.participant_id, "session_id": c.session_id}
        for place, (name, value) in enumerate(identity.items()):
            found.insert(place, name, value)
        return found


def read_participants(settings: Settings) -> pd.DataFrame:
    """Return ``participants.tsv`` of the dataset, else of the output folder, ``n/a`` as missing.

    Raises
    ------
    InputError
        If it can't be read as a table of people.
    """
    for folder in (settings.bids_dir, settings.out_dir):
        path = folder / "participants.tsv"
        if path.is_file():
            table = read_people(path)
            for note in table.notes:
                _log.warning(note)
            return pd.DataFrame(list(table.rows), columns=list(table.columns), dtype=object)
    return pd.DataFrame({"participant_id": pd.Series(dtype=str)})


def find_people(settings: Settings, template: str, participants: pd.DataFrame) -> list[PersonFiles]:
    """Find every image that has a cord in the template's space, and who failed before.

    Parameters
    ----------
    settings : Settings
        ``out_dir``, the labels that are asked for, and the columns of people and cohorts count.
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
    state = {
        (status.participant_id, status.session_id): status.state
        for status in collect_status(settings.out_dir)
    }
    reader = _Reader(settings, participants.set_index("participant_id").to_dict("index"), state)
    cords = find_outputs(settings.out_dir, "cord_template", sidecars=True)
    found = [
        reader.person(cord)
        for cord in cords
        if cord.space == template and not cord.auto and reader.asked(*_ids(cord.image))
    ]
    if not found:
        covered = find_outputs(settings.out_dir, "coverage_template", sidecars=True)
        others = ", ".join(sorted({str(name.space) for name in covered}))
        hint = f"; there are results in {others}" if others else ""
        raise NoInputError(
            f"{settings.out_dir} has no cord in space-{template}{hint}; run the participant level "
            "first, with the same --template"
        )
    there = {(p.candidate.participant_id, p.candidate.session_id) for p in found}
    lost = [key for key in state if key not in there and reader.asked(*key)]
    return found + [reader.without(*key) for key in sorted(lost)]


def gather_tables(
    people: Iterable[PersonFiles], kind: Kind, used: Collection[str] | None = None
) -> pd.DataFrame | None:
    """Put the tables of a kind under each other, who it is first; None where nobody has a row.

    Where the names of those who count are given, ``used`` tells them from the others.
    """
    parts = []
    for person in people:
        own = person.table(kind)
        if own is None or not len(own):
            continue
        if used is not None:
            own["used"] = person.name in used
        parts.append(person.identified(own))
    return pd.concat(parts, ignore_index=True) if parts else None


def gather_metrics(people: Iterable[PersonFiles]) -> pd.DataFrame | None:
    """Put the tables of people's maps under each other; None where nobody has one."""
    parts = [person.identified(read_output(path)) for person in people for path in person.metrics]
    return pd.concat(parts, ignore_index=True) if parts else None


@dataclass(frozen=True)
class _Reader:
    """Reads what one image says of itself; rows are by participant, states by session too."""

    settings: Settings
    rows: Mapping[str, Mapping[str, Any]]
    state: Mapping[tuple[str, str], str]

    def asked(self, participant: str, session: str) -> bool:
        """Tell whether somebody is wanted."""
        people, visits = self.settings.participant_label, self.settings.session_label
        if people and participant.removeprefix("sub-") not in people:
            return False
        return not visits or session.removeprefix("ses-") in visits

    def person(self, cord: Derivative) -> PersonFiles:
        """Read what is there of an image, from the sidecar of its cord on."""
        out_dir, template = self.settings.out_dir, str(cord.space)
        own = [o for o in outputs_of(out_dir, cord.image) if not o.auto]
        contrast = _contrast(own)
        spaces = {None, contrast, template}
        paths = {o.kind: o.path for o in reversed(own) if o.space in spaces}
        participant, session = _ids(cord.image)
        needed = {
            kind: output_path(out_dir, kind, cord.image, template=template) for kind in NEEDED
        }
        lesion = output_path(out_dir, "lesion_template", cord.image, template=template)
        told = _read(cord.path), _read(sidecar_path(lesion))
        candidate = Candidate(
            participant,
            session,
            cord.image.entities.get("run", MISSING),
            contrast,
            *self._who(participant),
            state=self.state.get((participant, session), "not in status.tsv"),
            failed_gates=_failed_gates(paths.get("qc")),
            level_source=str(told[0].get("LevelSource", "unknown")),
            missing=tuple(path.name for kind, path in needed.items() if kind not in paths),
            chunk=cord.image.entities.get("chunk", MISSING),
        )
        image = next((o.image for o in own if o.path == paths.get("preproc_template")), None)
        metrics = tuple(o.path for o in own if o.kind == "metric" and o.space == contrast)
        drawn = bool(told[1].get("Manual", False))
        return PersonFiles(candidate, _origin(candidate.name, *told), paths, image, drawn, metrics)

    def without(self, participant: str, session: str) -> PersonFiles:
        """Return somebody who never reached the template."""
        candidate = Candidate(
            *(participant, session, MISSING, MISSING, *self._who(participant)),
            state=self.state[participant, session],
            level_source="none",
            missing=("a cord in the template's space",),
        )
        return PersonFiles(candidate, Origin(candidate.name, "", ""), {})

    def _who(self, participant: str) -> tuple[str, str]:
        """Return who it is, and the cohort."""
        row, s = self.rows.get(participant, {}), self.settings
        person = row.get(s.person_column) if s.person_column else None
        cohort = row.get(s.cohort_column) if s.cohort_column else None
        return (
            participant if person is None or pd.isna(person) else str(person),
            MISSING if cohort is None or pd.isna(cohort) else str(cohort),
        )


def _ids(image: ImageName) -> tuple[str, str]:
    """Return participant and session as tables have them."""
    session = MISSING if image.session is None else f"ses-{image.session}"
    return f"sub-{image.participant}", session


def _contrast(own: Iterable[Derivative]) -> str:
    """Return the reference contrast: that of the tables in the person's own space."""
    spaces = {o.image.contrast for o in own if o.path.suffix == TABLE and o.space is not None}
    return min(spaces & set(CONTRASTS), default=MISSING)


def _failed_gates(path: Path | None) -> tuple[str, ...]:
    if path is None:
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
        return read_object(path)
    except InputError:
        return {}
