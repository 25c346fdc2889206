"""Tasks that find the vertebral levels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.files import read_centerline
from spinalprep.engine.tasks import define_task
from spinalprep.errors import InputError
from spinalprep.image import load, save
from spinalprep.levels.carry import Source, choose_source
from spinalprep.levels.discs import Levels, discs_from_labels, parse_hint
from spinalprep.levels.files import read_levels, read_sources, write_levels, write_sources
from spinalprep.levels.label import label_discs, label_vertebrae
from spinalprep.levels.sequence import Evidence

LEVELS = Path("levels.json")  # in the working folder of a task
SOURCES = Path("sources.json")


@define_task(outputs=["levels"])
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


@define_task(outputs=["levels", "warnings"])
def LevelsFromHint(
    hint: str,
    image: NiftiGz,
    centerline: File,
    weights: File,
    card: File,
    template_z: dict[int, float],
) -> tuple[File, list[str]]:
    """Detect discs and number them by a hint."""
    from spinalprep.levels.number import levels_from_hint_and_signs

    line = read_centerline(Path(centerline.fspath))
    evidence = _see_discs(image, line, weights)
    found, warnings = levels_from_hint_and_signs(parse_hint(hint), line, template_z, evidence)
    return write_levels(found, LEVELS), warnings


@define_task(outputs=["sources"])
def DetectLevels(
    image: NiftiGz,
    centerline: File,
    weights: File,
    card: File,
    template_z: dict[int, float],
) -> File:
    """Detect discs of the reference and number them; no source where none is sure."""
    from spinalprep.levels.number import levels_from_signs

    line = read_centerline(Path(centerline.fspath))
    found = levels_from_signs(_see_discs(image, line, weights), template_z, line.length)
    shown = [Source(found, line.length)] if found.known else []
    return write_sources(shown, SOURCES)


@dataclass(frozen=True)
class DiscNetworks:
    """What finds the cord of another image, and the discs along it; weights and their cards."""

    centerline: File
    centerline_card: File
    discs: File
    discs_card: File


@define_task(outputs=["sources", "warnings"])
def DetectElsewhere(
    image: NiftiGz | None,
    contrast: str,
    networks: DiscNetworks,
    reference_line: File,
    own: File | None,
    to_reference: File | None,
    template_z: dict[int, float],
) -> tuple[File, list[str]]:
    """Detect discs in another contrast and carry them to the reference's centerline.

    Nothing is looked for where the reference itself (``own``) is sure, or without an image. Without
    ``to_reference`` the scanner's coordinates serve.
    """
    if image is None or _sources(own):
        return write_sources([], SOURCES), []
    from spinalprep.levels.elsewhere import detect_elsewhere
    from spinalprep.networks.weights import load_model
    from spinalprep.registration.transform import Affine, read_itk

    map_points = read_itk(Path(to_reference.fspath)) if to_reference is not None else None
    found, warnings = detect_elsewhere(
        load(image.fspath),
        contrast,
        load_model(Path(networks.centerline.fspath)),
        load_model(Path(networks.discs.fspath)),
        map_points or Affine.identity(),
        read_centerline(Path(reference_line.fspath)),
        template_z,
    )
    return write_sources(found, SOURCES), warnings


@define_task(outputs=["sources"])
def JoinSources(before: File | None, found: File | None) -> File:
    """Put the sources of two files into one; None where a search failed."""
    return write_sources([*_sources(before), *_sources(found)], SOURCES)


@define_task(outputs=["levels", "warnings"])
def ChooseSource(
    own: File | None, elsewhere: File | None, centerline: File
) -> tuple[File | None, list[str]]:
    """Take the levels of the reference, or of the other image that shows most; none if unsure.

    Raises
    ------
    InputError
        If the search in the reference failed (``own`` is None), and no other image is sure: that
        levels are unknown is not known.
    """
    sources = _sources(own) or _sources(elsewhere)
    if own is None and not sources:
        raise InputError("the search for discs failed, and no other image shows vertebral levels")
    line = read_centerline(Path(centerline.fspath))
    found, warnings = choose_source(sources, line.length)
    return (write_levels(found, LEVELS) if found.known else None), warnings


def _sources(file: File | None) -> list[Source]:
    """Return the sources in a file; none where the search for them failed."""
    return read_sources(Path(file.fspath)) if file is not None else []


def _see_discs(image: NiftiGz, line: Centerline, weights: File) -> Evidence:
    """Return the signs of discs along the cord."""
    from spinalprep.levels.detect import find_discs, weigh_signs
    from spinalprep.networks.weights import load_model

    model = load_model(Path(weights.fspath))
    return weigh_signs(*find_discs(load(image.fspath), line, model), model.card["scale"])


@define_task(outputs=["vertebrae", "discs", "source"])
def LabelLevels(
    cord: NiftiGz, centerline: File, levels: File | None
) -> tuple[NiftiGz | None, NiftiGz | None, str]:
    """Draw vertebral levels on the cord and one voxel per disc, and say what they follow from."""
    if levels is None:
        return None, None, Levels({}).source
    mask, line = load(cord.fspath), read_centerline(Path(centerline.fspath))
    found = read_levels(Path(levels.fspath))
    vertebrae = label_vertebrae(mask, line, found)
    discs = label_discs(mask, line, found)
    return (
        save(mask.with_data(vertebrae), Path("vertebrae.nii.gz"), dtype=np.int16),
        save(mask.with_data(discs), Path("discs.nii.gz"), dtype=np.int16),
        found.source,
    )
