"""Tasks that find the vertebral levels."""

import json
from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.image import load, save
from spinalprep.interfaces.cord import read_centerline
from spinalprep.levels.discs import Levels, discs_from_labels, extend, levels_from_hint, parse_hint
from spinalprep.levels.label import label_discs, label_vertebrae


def write_levels(levels: Levels) -> Path:
    """Write levels as JSON into the working folder."""
    path = Path("levels.json")
    content = {
        "disc_s_mm": {str(n): s for n, s in levels.disc_s.items()},
        "source": levels.source,
        "placed": list(levels.placed),
    }
    path.write_text(json.dumps(content))
    return path.absolute()


def read_levels(path: Path) -> Levels:
    """Read levels as `write_levels` wrote them."""
    content = json.loads(path.read_text())
    disc_s = {int(n): float(s) for n, s in content["disc_s_mm"].items()}
    return Levels(disc_s, content["source"], tuple(content["placed"]))


def levels_known(levels: File | None) -> bool:
    """Tell whether a disc is known: without, the height in the template is arbitrary."""
    return levels is not None and bool(read_levels(Path(levels.fspath)).disc_s)


@python.define(outputs=["levels"])
def LevelsFromDiscs(discs: NiftiGz, centerline: File, template_z: dict[int, float]) -> File:
    """Project disc labels on the centerline and add the others by the template's spacings."""
    line = read_centerline(Path(centerline.fspath))
    seen = discs_from_labels(load(discs.fspath), line)
    return write_levels(extend(seen, template_z, line.length))


@python.define(outputs=["levels"])
def LevelsFromHint(hint: str, centerline: File, template_z: dict[int, float]) -> File:
    """Place the discs by a hint and the template's spacings."""
    line = read_centerline(Path(centerline.fspath))
    return write_levels(levels_from_hint(parse_hint(hint), line, template_z))


@python.define(outputs=["vertebrae", "discs"])
def LabelLevels(cord: NiftiGz, centerline: File, levels: File) -> tuple[NiftiGz, NiftiGz]:
    """Draw vertebral levels on the cord and one voxel per disc."""
    mask, line = load(cord.fspath), read_centerline(Path(centerline.fspath))
    found = read_levels(Path(levels.fspath))
    vertebrae = label_vertebrae(mask, line, found)
    discs = label_discs(mask, line, found)
    return (
        save(mask.with_data(vertebrae), Path("vertebrae.nii.gz"), dtype=np.int16),
        save(mask.with_data(discs), Path("discs.nii.gz"), dtype=np.int16),
    )
