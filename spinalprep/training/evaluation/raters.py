"""How far raters agree with each other, and a network with each of them."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.errors import InputError
from spinalprep.image import Image, load, reorient
from spinalprep.training.evaluation.consensus import fleiss_kappa
from spinalprep.training.evaluation.metrics import Mask, bootstrap_interval, overlap_measures
from spinalprep.training.evaluation.predictions import Predictions
from spinalprep.training.material.cases import Case

LOG = logging.getLogger("spinalprep")
NETWORK = "network"
ALL = "all raters"
COLUMNS = {
    "person_id": "who; several participants may be one person",
    "image": "the raw image",
    "structure": "cord, gm (gray matter) or lesion",
    "first": f"rater, or {ALL}",
    "second": f"the other rater, or {NETWORK}; n/a for a kappa of all raters",
    "dice": "overlap over mean size",
    "kappa": "Fleiss' kappa in the box around all masks, widened by 3 voxels",
    "first_mm3": "volume that the first drew",
    "second_mm3": "volume that the second drew, or the network found",
    "relative_volume_difference": "second over first, minus one",
}
SUMMARY = {
    "structure": COLUMNS["structure"],
    "first": COLUMNS["first"],
    "second": COLUMNS["second"],
    "measure": "as in raters.tsv",
    "people": "people with this measure, each counted once: the mean over their images",
    "mean": "mean over people",
    "lower": "lower end of the 95 % bootstrap interval over people; n/a below three people",
    "upper": "its upper end",
}
MEASURES = ("dice", "kappa", "relative_volume_difference")


def compare_raters(
    cases: Mapping[str, list[Case]],
    predict: Callable[[Path], Predictions],
    out_dir: Path,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare raters in all images that at least two of them drew, and write tables.

    Parameters
    ----------
    cases : mapping
        Name of a rater to what that rater drew, see `find_cases`.
    predict : callable
        Path of a raw image to what was predicted in it.
    out_dir : Path
        Gets ``raters.tsv`` and ``raters_summary.tsv`` with their dictionaries.
    seed : int
        Of the bootstrap.

    Returns
    -------
    summary : DataFrame
        The columns of ``SUMMARY``.

    Raises
    ------
    InputError
        If no image was drawn by two raters.
    """
    rows: list[dict[str, object]] = []
    for image in sorted({case.image for drawn in cases.values() for case in drawn}):
        drawn = {name: case for name, own in cases.items() for case in own if case.image == image}
        if len(drawn) >= 2:
            rows += _compare_image(image, drawn, predict(image))
    if not rows:
        raise InputError("no structure of any image was drawn by two raters on the image's grid")
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    summary = summarise_raters(table, seed)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, frame, words in (
        ("raters", table, COLUMNS),
        ("raters_summary", summary, SUMMARY),
    ):
        path = out_dir / f"{name}.tsv"
        frame.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.4f")
        told = {column: {"Description": text} for column, text in words.items()}
        path.with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")
    return summary


def summarise_raters(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return means over people of every pair; ``table`` has the columns of ``COLUMNS``."""
    rows = []
    keys = ["structure", "first", "second"]
    for pair, part in table.groupby(keys, sort=False, dropna=False):
        for measure in MEASURES:
            known = part[part[measure].notna()]
            if known.empty:
                continue
            values = known.groupby("person_id")[measure].mean().to_numpy(float)
            lower, upper = bootstrap_interval(values, seed)
            rows.append(
                dict(zip(keys, pair, strict=True))
                | {"measure": measure, "people": len(values), "mean": float(values.mean())}
                | {"lower": lower, "upper": upper}
            )
    return pd.DataFrame(rows, columns=list(SUMMARY))


def _compare_image(
    image: Path, drawn: Mapping[str, Case], found: Predictions
) -> Iterator[dict[str, object]]:
    """Yield a record per pair, and the kappas, of each structure that two raters drew."""
    grid = reorient(load(image))
    structures = dict.fromkeys(role for case in drawn.values() for role in case.truth)
    for structure in structures:
        having = {name: case for name, case in drawn.items() if structure in case.truth}
        read = {name: _mask(case, structure, grid) for name, case in having.items()}
        masks = {name: mask for name, mask in read.items() if mask is not None}
        if len(masks) < 2:
            continue
        person = next(iter(drawn.values())).person
        told = {"person_id": person, "image": str(image), "structure": structure}
        masks, network = _where_all_drew(masks, found.masks.get(structure), structure)
        yield told | {"first": ALL, "kappa": fleiss_kappa(list(masks.values()))}
        for pair in combinations(masks, 2):
            yield told | _pair(pair, (masks[pair[0]], masks[pair[1]]), grid)
        if network is None:
            continue
        both = [*masks.values(), network]
        yield told | {"first": ALL, "second": NETWORK, "kappa": fleiss_kappa(both)}
        for name, mask in masks.items():
            yield told | _pair((name, NETWORK), (mask, network), grid)


def _where_all_drew(
    masks: Mapping[str, Mask], found: Image | None, structure: str
) -> tuple[dict[str, Mask], Mask | None]:
    """Return masks in the slices that everybody labeled; an empty slice says there's no lesion."""
    network = None if found is None else np.asarray(found.data, bool)
    if structure == "lesion":
        return dict(masks), network
    shared = np.logical_and.reduce([mask.any(axis=(0, 1)) for mask in masks.values()])
    kept = {name: mask[:, :, shared] for name, mask in masks.items()}
    return kept, None if network is None else network[:, :, shared]


def _pair(names: tuple[str, str], masks: tuple[Mask, Mask], grid: Image) -> dict[str, object]:
    first, second = masks
    measures = overlap_measures(second, first)
    return {
        "first": names[0],
        "second": names[1],
        "dice": measures["dice"],
        "kappa": fleiss_kappa([first, second]),
        "first_mm3": float(first.sum() * grid.voxel_volume),
        "second_mm3": float(second.sum() * grid.voxel_volume),
        "relative_volume_difference": measures["relative_volume_difference"],
    }


def _mask(case: Case, structure: str, grid: Image) -> Mask | None:
    """Return what a rater drew; None, and why, where the label is of no use."""
    try:
        mask: Mask = case.read(structure, grid).data >= 0.5
    except InputError as error:
        LOG.warning("%s; it is not compared", error)
        return None
    return mask
