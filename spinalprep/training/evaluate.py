"""One table of how far a run, or networks, are from what people drew."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.bids.labels import ENDINGS, check_same_grid
from spinalprep.bids.names import image_stem
from spinalprep.errors import NoInputError, UsageError
from spinalprep.image import Image, load, reorient, resample_like
from spinalprep.training.answers import MASKS, Answer, raw_name
from spinalprep.training.metrics import (
    calibration_error,
    centerline_measures,
    count_lesions,
    overlap_measures,
    surface_distances,
)
from spinalprep.training.pictures import draw_cases
from spinalprep.training.slices import PERSONS
from spinalprep.training.summary import COLUMNS, SUMMARY, UNKNOWN, summarise

LOG = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Case:
    """A raw image and what a person drew in it."""

    image: Path
    person: str
    truth: Mapping[str, Path]


def find_cases(
    bids_dir: Path,
    labels: Path | None = None,
    persons: Mapping[str, str] | None = None,
    participants: Sequence[str] | None = None,
) -> list[Case]:
    """Find the images of a dataset in which a person drew cord, grey matter or lesions.

    Parameters
    ----------
    bids_dir : Path
        The raw dataset.
    labels : Path, optional
        Folder of labels; ``derivatives/labels`` of the dataset.
    persons : mapping, optional
        Person of a participant's label, where the label is not the person.
    participants : sequence of str, optional
        These alone, with or without ``sub-``.

    Raises
    ------
    NoInputError
        If there is no label of an image that is there.
    """
    folder = labels or bids_dir / "derivatives" / "labels"
    wanted = {label.removeprefix("sub-") for label in participants or ()}
    cases = []
    for image in sorted(bids_dir.glob("sub-*/**/anat/sub-*.nii*")):
        label = raw_name(image).participant
        truth = dict(_labels_of(folder / image.relative_to(bids_dir).parent, image_stem(image)))
        if truth and (not wanted or label in wanted):
            cases.append(Case(image, (persons or {}).get(label, label), truth))
    if not cases:
        raise NoInputError(
            f"{folder} has no label of an image of {bids_dir}; "
            "expected sub-*/anat/<image>_seg-manual.nii.gz and the like"
        )
    return cases


def read_persons(bids_dir: Path, column: str | None, given: list[str]) -> dict[str, str]:
    """Return the person of every participant that is named otherwise.

    Parameters
    ----------
    bids_dir : Path
        Its ``participants.tsv`` is read if there is a column.
    column : str or None
        Column that names the person.
    given : list of str
        ``PARTICIPANT=PERSON``, over the column.
    """
    persons: dict[str, str] = {}
    if column is not None:
        path = bids_dir / "participants.tsv"
        table = pd.read_csv(path, sep="\t", dtype=str) if path.is_file() else pd.DataFrame()
        if column not in table:
            raise UsageError(f"{path} has no column {column}; got {', '.join(table.columns)}")
        known = table[table[column].notna()]
        labels = known["participant_id"].str.removeprefix("sub-")
        persons.update(zip(labels, known[column], strict=True))
    for pair in given:
        label, equals, person = pair.partition("=")
        if not equals or not label or not person:
            raise UsageError(f"--same-person {pair}: expected PARTICIPANT=PERSON")
        persons[label.removeprefix("sub-")] = person.removeprefix("sub-")
    return persons


def evaluate(
    cases: list[Case],
    answer: Callable[[Path], Answer],
    out_dir: Path,
    cards: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Judge every image and write tables and pictures.

    Parameters
    ----------
    cases : list of Case
        See `find_cases`.
    answer : callable
        Path of a raw image to what was found in it.
    out_dir : Path
        Gets ``evaluation.tsv``, ``evaluation_summary.tsv``, their dictionaries, and the best,
        the median and the worst case of each structure as PNG.
    cards : sequence of mapping
        Model cards, which say who was in the training.
    seed : int
        Of the bootstrap.

    Returns
    -------
    summary : DataFrame
        The columns of ``SUMMARY``.
    """
    rows: list[dict[str, object]] = []
    for case in cases:
        given = answer(case.image)
        told = _was_trained_on(case, given, cards)
        rows += [{**row, "trained_on": told} for row in judge(case, given)]
        LOG.info("%s", _line(rows, case))
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    summary = summarise(table, seed)
    _warn(table)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, frame, words in (
        ("evaluation", table, COLUMNS),
        ("evaluation_summary", summary, SUMMARY),
    ):
        frame.to_csv(
            out_dir / f"{name}.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.4f"
        )
        columns = {column: {"Description": text} for column, text in words.items()}
        (out_dir / f"{name}.json").write_text(json.dumps(columns, indent=2) + "\n")
    draw_cases(table, {str(case.image): case.truth for case in cases}, answer, out_dir)
    return summary


def judge(case: Case, answer: Answer) -> Iterator[dict[str, object]]:
    """Yield a record per structure that a person drew in an image.

    Cord and grey matter are compared in the slices that have a label; lesions everywhere,
    because an empty label says that there is none. For their specificity the slices with cord
    count: the drawn cord, else the found one, else the whole image.
    """
    grid = reorient(load(case.image))
    wrong = {role: check_same_grid(path, case.image) for role, path in case.truth.items()}
    for text in filter(None, wrong.values()):
        LOG.warning("%s; it is left out", text)
    truths = {role: _on(grid, path) for role, path in case.truth.items() if not wrong[role]}
    for role, truth in truths.items():
        drawn = np.asarray(truth.any(axis=(0, 1)), bool)
        if role != "lesion" and not drawn.any():
            LOG.warning("%s is empty and is left out", case.truth[role])
            continue
        row: dict[str, object] = {
            "person_id": case.person,
            "image": str(case.image),
            "contrast": raw_name(case.image).contrast,
            "structure": role,
            "answered": "yes" if role in answer.masks else "no",
            "seconds": answer.seconds,
            "peak_mib": answer.peak_mib,
        }
        if role in answer.masks:
            found = np.asarray(answer.masks[role].data, bool)
            cord = truths.get("cord", np.asarray(answer.masks.get("cord", grid).data, bool))
            span = np.full_like(drawn, True) if role == "lesion" else drawn
            row |= _compare(role, (found, truth, cord), span, grid)
        if role in answer.masks and role in answer.soft:
            soft = answer.soft[role].data[:, :, drawn]
            row["calibration_error"] = calibration_error(soft, truth[:, :, drawn])
        if role == "cord" and answer.line is not None:
            row |= centerline_measures(answer.line, truth, grid.voxel_sizes)
        yield row


def _was_trained_on(case: Case, answer: Answer, cards: Sequence[Mapping[str, Any]]) -> str:
    """Tell whether the weights of an answer saw the person in training: yes, no, n/a."""
    used = [card for card in cards if card["sha256"] in answer.sha256]
    if not used or len(used) < len(answer.sha256):
        return UNKNOWN
    names = {case.person, raw_name(case.image).participant}
    names |= {PERSONS.get(name, name) for name in names}  # cards name people, not their visits
    return "yes" if any(names & set(card["data"]["people"]) for card in used) else "no"


def _warn(table: pd.DataFrame) -> None:
    """Say what the numbers are not."""
    seen = sorted(set(table.loc[table["trained_on"] == "yes", "person_id"]))
    if seen:
        LOG.warning("trained on %s: no measure of accuracy for them", ", ".join(seen))
    if (table.loc[table["answered"] == "yes", "trained_on"] == UNKNOWN).any():
        LOG.warning("whom the weights were trained on is not known")
    missing = int((table["answered"] == "no").sum())
    if missing:
        LOG.warning("%d labels have no automatic mask in the folder and don't count", missing)


def _compare(
    role: str,
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
    span: NDArray[np.bool_],
    grid: Image,
) -> dict[str, object]:
    """Return volumes and measures of one structure in the slices ``span``."""
    found, truth, cord = (mask[:, :, span] for mask in masks)
    row: dict[str, object] = {
        "slices": int(span.sum()),
        "truth_mm3": float(truth.sum() * grid.voxel_volume),
        "found_mm3": float(found.sum() * grid.voxel_volume),
        "beyond_mm3": float(masks[0][:, :, ~span].sum() * grid.voxel_volume),
    }
    if role == "lesion":
        row |= count_lesions(found, truth, cord).measures
        if not truth.any():
            return row | {"false_lesion_mm3": row["found_mm3"]}
    return row | overlap_measures(found, truth) | surface_distances(found, truth, grid.voxel_sizes)


def _on(grid: Image, path: Path) -> NDArray[np.bool_]:
    """Read a label on the grid of the image, LAS; soft labels count from one half."""
    mask: NDArray[np.bool_] = resample_like(reorient(load(path)), grid, order=0).data >= 0.5
    return mask


def _labels_of(place: Path, stem: str) -> Iterator[tuple[str, Path]]:
    """Yield role and path of the labels of an image; the first ending of a role wins.

    Labels are named after the image or as derivatives of it are (``space-T2w``).
    """
    taken = set()
    head, _, contrast = stem.rpartition("_")
    starts = (stem, f"{head}_space-{contrast}")
    for ending, role in ENDINGS.items():
        for start, extension in product(starts, (".nii.gz", ".nii")):
            path = place / f"{start}_{ending}{extension}"
            if role in MASKS and role not in taken and path.is_file():
                taken.add(role)
                yield role, path


def _line(rows: list[dict[str, object]], case: Case) -> str:
    """Say in one line what was found in an image."""
    own = [row for row in rows if row["image"] == str(case.image)]
    told = [
        f"{row['structure']} Dice {row['dice']:.3f}"
        if "dice" in row
        else f"{row['structure']} {'none drawn' if row['answered'] == 'yes' else 'not answered'}"
        for row in own
    ]
    return f"{re.sub(r'[.]nii([.]gz)?$', '', case.image.name)}: {', '.join(told)}"
