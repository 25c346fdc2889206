"""A BIDS dataset of labeled images with faults drawn into them."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.bids.labels import label_path
from spinalprep.bids.lookups import label_value
from spinalprep.bids.names import CONTRASTS, image_stem, join_name, parse_name
from spinalprep.defaults import FAULT_SEED
from spinalprep.image import load, reorient, save
from spinalprep.image.drawn import read_drawn
from spinalprep.phantom.dataset import describe_dataset
from spinalprep.phantom.faults import FAULTS, Drawn, draw_fault

PLAIN = "plain"  # the image as it is
README = """Labeled images with artifacts simulated by spinalprep.

A participant is a source image with one kind of artifact, or "plain", the unmodified image. The
true cord, and lesions if one was inserted, are in derivatives/labels, each with a JSON file that
describes the artifact. `spinalprep-tools evaluate` reads this dataset.
"""
COLUMNS = {
    "source": {"Description": "participant or file of the image"},
    "kind": {"Description": "kind of artifact; plain: the unmodified image"},
}


@dataclass(frozen=True)
class Labelled:
    """An image and the cord that is true of it."""

    image: Path
    cord: Path
    values: Mapping[str, int] = field(default_factory=dict)  # of `lookups.label_value`


def write_faults(
    labelled: Iterable[Labelled],
    out_dir: Path,
    kinds: Sequence[str] = tuple(FAULTS),
    seed: int = FAULT_SEED,
) -> Path:
    """Write every image as it is and with every kind of fault.

    Parameters
    ----------
    labelled : iterable of Labelled
    out_dir : Path
        A new or empty folder.
    kinds : sequence of str
        Of `faults.FAULTS`.
    seed : int
        Of the first image; the others follow.

    Returns
    -------
    out_dir : Path
        ``sub-<participant><kind>/anat`` with the image under its own name, in the voxel order LAS,
        and the truth in ``derivatives/labels`` with a sidecar: ``Fault``, ``Seed``, ``Side``,
        ``FirstSlice``, ``LastSlice``, ``LengthMm``.

    Raises
    ------
    InputError
        If a label does not lie on the grid of its image, or nothing says which class is the cord.
    EmptyMaskError
        If it is empty.
    """
    labels = out_dir / "derivatives" / "labels"
    rows: dict[str, dict[str, str]] = {}
    for n, files in enumerate(labelled):
        image = reorient(load(files.image))
        cord = read_drawn(files.cord, image, "cord", label_value(files.cord, "cord", files.values))
        as_is = Drawn(image, cord.with_data(cord.data >= 0.5), None, 0, image.shape[2] - 1)
        for kind in (PLAIN, *kinds):
            drawn = as_is if kind == PLAIN else draw_fault(kind, image, cord, seed + n)
            entities, contrast = _name_of(files.image)
            source = entities["sub"]
            entities["sub"] = f"{source}{kind}"
            name = join_name(entities, contrast, ".nii.gz")
            _write_one(drawn, out_dir / _anat(entities) / name, files.image)
            said = {"Fault": kind, "Seed": seed + n, **_where(drawn)}
            _write_truth(drawn, labels / _anat(entities), name, said)
            rows[entities["sub"]] = {"source": source, "kind": kind}
    describe_dataset(out_dir, "spinalprep faults", "raw")
    describe_dataset(labels, "spinalprep faults labels", "derivative")
    (labels / ".bidsignore").write_text("**/*_seg.*\n")  # named as raters name theirs
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("participant_id")
    table.index = "sub-" + table.index
    table.to_csv(out_dir / "participants.tsv", sep="\t")
    (out_dir / "participants.json").write_text(json.dumps(COLUMNS, indent=2) + "\n")
    (out_dir / "README").write_text(README)
    return out_dir


def _name_of(path: Path) -> tuple[dict[str, str], str]:
    """Return entities and contrast of an image; of a file of any name ``sub-01``, ``T2w``."""
    entities, contrast, _ = parse_name(path.name)
    if contrast not in CONTRASTS:
        return {"sub": "01"}, "T2w"
    return {"sub": "01", **entities}, contrast


def _anat(entities: dict[str, str]) -> Path:
    folder = Path(f"sub-{entities['sub']}")
    return folder / f"ses-{entities['ses']}" / "anat" if "ses" in entities else folder / "anat"


def _where(drawn: Drawn) -> dict[str, object]:
    """Return where a fault lies."""
    length = (drawn.last - drawn.first + 1) * float(drawn.image.voxel_sizes[2])
    return {
        "Side": drawn.side,
        "FirstSlice": drawn.first,
        "LastSlice": drawn.last,
        "LengthMm": round(length, 2),
    }


def _write_one(drawn: Drawn, path: Path, source: Path) -> None:
    """Write the image, with the sidecar of its source if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(drawn.image, path)
    sidecar = source.with_name(f"{image_stem(source)}.json")
    if sidecar.is_file():
        shutil.copyfile(sidecar, path.with_name(f"{image_stem(path)}.json"))


def _write_truth(drawn: Drawn, folder: Path, image: str, said: dict[str, object]) -> None:
    """Write the cord, and a lesion if there is one, and what was done."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, mask in (("cord", drawn.cord), ("lesion", drawn.lesion)):
        if mask is None:
            continue
        path = label_path(folder, image, role)
        save(mask, path, np.uint8)
        path.with_name(f"{image_stem(path)}.json").write_text(json.dumps(said, indent=2) + "\n")
