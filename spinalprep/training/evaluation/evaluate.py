"""One table of how far a run, or networks, are from what people drew."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.bids.names import ImageName
from spinalprep.errors import InputError
from spinalprep.image import Image, load, reorient
from spinalprep.training.evaluation.metrics import (
    calibration_error,
    centerline_measures,
    count_lesions,
    overlap_measures,
    surface_distances,
)
from spinalprep.training.evaluation.pictures import draw_cases
from spinalprep.training.evaluation.predictions import Predictions
from spinalprep.training.evaluation.summary import COLUMNS, SUMMARY, summarise
from spinalprep.training.evaluation.trained_on import UNKNOWN, TrainedOn
from spinalprep.training.material.cases import Case

LOG = logging.getLogger("spinalprep")


def evaluate(
    cases: list[Case],
    predict: Callable[[Path], Predictions],
    out_dir: Path,
    known: TrainedOn | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge every image and write tables and pictures.

    Parameters
    ----------
    cases : list of Case
        See `find_cases`.
    predict : callable
        Path of a raw image to what was predicted in it.
    out_dir : Path
        Gets ``evaluation.tsv``, ``evaluation_summary.tsv``, their dictionaries, and the best,
        the median and the worst case of each structure as PNG.
    known : TrainedOn, optional
        Whom the networks were trained on; not known if not given.
    seed : int
        Of the bootstrap.

    Returns
    -------
    summary : DataFrame
        The columns of ``SUMMARY``.
    """
    rows: list[dict[str, object]] = []
    for case in cases:
        predictions = predict(case.image)
        told = UNKNOWN if known is None else known.tell(case, predictions.sha256)
        rows += [{**row, "trained_on": told} for row in judge(case, predictions)]
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
    draw_cases(table, {str(case.image): case for case in cases}, predict, out_dir)
    return summary


def judge(case: Case, predictions: Predictions) -> Iterator[dict[str, object]]:
    """Yield a record per structure that a person drew in an image.

    Cord and gray matter are compared in the slices that have a label; lesions everywhere,
    because an empty label says that there is none. For their specificity the slices with cord
    count: the drawn cord, else the found one, else the whole image.
    """
    grid = reorient(load(case.image))
    truths = _truths(case, grid)
    for role, truth in truths.items():
        drawn = np.asarray(truth.any(axis=(0, 1)), bool)
        if role != "lesion" and not drawn.any():
            LOG.warning("%s is empty and is not evaluated", case.truth[role])
            continue
        row: dict[str, object] = {
            "person_id": case.person,
            "image": str(case.image),
            "contrast": ImageName.of(case.image.name).contrast,
            "structure": role,
            "answered": "yes" if role in predictions.masks else "no",
            "seconds": predictions.seconds,
            "peak_mib": predictions.peak_mib,
        }
        if role in predictions.masks:
            found = np.asarray(predictions.masks[role].data, bool)
            cord = truths.get("cord", np.asarray(predictions.masks.get("cord", grid).data, bool))
            span = np.full_like(drawn, True) if role == "lesion" else drawn
            row |= _compare(role, (found, truth, cord), span, grid)
        if role in predictions.masks and role in predictions.soft:
            soft = predictions.soft[role].data[:, :, drawn]
            row["calibration_error"] = calibration_error(soft, truth[:, :, drawn])
        if role == "cord" and predictions.line is not None:
            row |= centerline_measures(predictions.line, truth, grid.voxel_sizes)
        yield row


def _warn(table: pd.DataFrame) -> None:
    """Say what the numbers are not."""
    seen = sorted(set(table.loc[table["trained_on"] == "yes", "person_id"]))
    if seen:
        LOG.warning(
            "the weights were trained on %s: no measure of accuracy for them", ", ".join(seen)
        )
    if (table.loc[table["answered"] == "yes", "trained_on"] == UNKNOWN).any():
        LOG.warning("the training subjects of the weights are not known")
    missing = int((table["answered"] == "no").sum())
    if missing:
        LOG.warning("%d labels have no automatic mask in the folder and are not evaluated", missing)


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


def _truths(case: Case, grid: Image) -> dict[str, NDArray[np.bool_]]:
    """Return what was drawn, LAS, soft labels from one half on; say which labels are of no use."""
    truths: dict[str, NDArray[np.bool_]] = {}
    for role in case.truth:
        try:
            truths[role] = case.read(role, grid).data >= 0.5
        except InputError as error:
            LOG.warning("%s; it is not evaluated", error)
    return truths


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
