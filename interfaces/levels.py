"""Tasks that find the vertebral levels."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.files import read_centerline
from spinalprep.image import load, save
from spinalprep.levels.discs import discs_from_labels, parse_hint
from spinalprep.levels.files import read_levels, write_levels
from spinalprep.levels.label import label_discs, label_vertebrae
from spinalprep.levels.sequence import Evidence

LEVELS = Path("levels.json")  # in the working folder of a task


@python.define(outputs=["levels"])
def LevelsFromDiscs(
    discs: NiftiGz,
    image: NiftiGz,
    centerline: File,
    weights: File,
    card: File,
    template_z: dict[int, float],
) -> File:
    """Project disc labels, hold them against the image, add the others by spacings."""
    from spinalprep.levels.number import levels_from_labels_and_signs

    line = read_centerline(Path(centerline.fspath))
    labelled = discs_from_labels(load(discs.fspath), line)
    evidence = _see_discs(image, line, weights)
    found = levels_from_labels_and_signs(labelled, template_z, line.length, evidence)
    return write_levels(found, LEVELS)


@python.define(outputs=["levels", "warnings"])
def DetectLevels(
    image: NiftiGz,
    centerline: File,
    weights: File,
    card: File,
    template_z: dict[int, float],
    hint: str | None,
) -> tuple[File | None, list[str]]:
    """Detect discs and number them, by a hint where there is one; nothing where none is sure."""
    from spinalprep.levels.number import levels_from_hint_and_signs, levels_from_signs

    line = read_centerline(Path(centerline.fspath))
    evidence = _see_discs(image, line, weights)
    if hint is not None:
        found, warnings = levels_from_hint_and_signs(parse_hint(hint), line, template_z, evidence)
        return write_levels(found, LEVELS), warnings
    found = levels_from_signs(evidence, template_z, line.length)
    return (write_levels(found, LEVELS) if found.known else None), []


def _see_discs(image: NiftiGz, line: Centerline, weights: File) -> Evidence:
    """Return the signs of discs along the cord."""
    from spinalprep.levels.detect import find_discs, weigh_signs
    from spinalprep.networks.weights import load_model

    model = load_model(Path(weights.fspath))
    return weigh_signs(*find_discs(load(image.fspath), line, model), model.card["scale"])


@python.define(outputs=["vertebrae", "discs"])
def LabelLevels(
    cord: NiftiGz, centerline: File, levels: File | None
) -> tuple[NiftiGz | None, NiftiGz | None]:
    """Draw vertebral levels on the cord and one voxel per disc, where they are known."""
    if levels is None:
        return None, None
    mask, line = load(cord.fspath), read_centerline(Path(centerline.fspath))
    found = read_levels(Path(levels.fspath))
    vertebrae = label_vertebrae(mask, line, found)
    discs = label_discs(mask, line, found)
    return (
        save(mask.with_data(vertebrae), Path("vertebrae.nii.gz"), dtype=np.int16),
        save(mask.with_data(discs), Path("discs.nii.gz"), dtype=np.int16),
    )
