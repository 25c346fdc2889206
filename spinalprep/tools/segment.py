"""``spinalprep-tools segment``: one image file, no BIDS, no template."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.api.load import load
from spinalprep.api.measure import measure_sections
from spinalprep.api.segment import Segmentation, segment
from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary, put_made, put_text
from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import plain_name
from spinalprep.bids.names import SHOWS_GM, image_stem
from spinalprep.cord.centerline import rasterise
from spinalprep.cord.whole import Estimate, measure_whole
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.device import VARIABLE, find_device
from spinalprep.errors import UsageError
from spinalprep.image import Image, save
from spinalprep.image.sanity import conform
from spinalprep.jsontext import json_text
from spinalprep.lesion.calling import LesionRule
from spinalprep.networks.views import VIEWS


@dataclass(frozen=True)
class Result:
    """What was found in an image.

    Attributes
    ----------
    found : Segmentation
        Masks and maps on the image's grid.
    slices : DataFrame
        See `measure_slices`.
    volume, area : Estimate
        Of the whole cord in mm3, and the mean of its sections in mm2.
    """

    found: Segmentation
    slices: pd.DataFrame
    volume: Estimate
    area: Estimate


@dataclass(frozen=True)
class Wishes:
    """What the user may choose.

    Attributes
    ----------
    lesion_threshold, min_lesion_mm3 : float
        See `LesionRule`.
    shows_gm : bool or None
        Look for gray matter; None goes by the contrast in the file's name, as the App does.
    views : int
        Of every window, see `networks.predict.segment`; with one there is no spread.
    post_process : tuple of str
        See `networks.postprocess.post_process`.
    """

    lesion_threshold: float = LESION_THRESHOLD
    min_lesion_mm3: float = MIN_LESION_MM3
    shows_gm: bool | None = None
    views: int = VIEWS
    post_process: tuple[str, ...] = ()


def segment_file(
    path: Path,
    out_dir: Path,
    given: Mapping[str, Path],
    wishes: Wishes | None = None,
) -> Result:
    """Segment one file and write masks, maps, a table of slices and a summary.

    Parameters
    ----------
    path : Path
        NIfTI, any orientation.
    out_dir : Path
        Gets ``<stem>_label-SC_mask.nii.gz`` and the others; see docs/usage.md.
    given : mapping of Path
        Weights in place of the packaged ones, by the name of the network.
    wishes : Wishes, optional
    """
    image = load(conform(path), bias_correction=False)
    wishes = wishes or Wishes()
    stem = image_stem(path)
    shows_gm = wishes.shows_gm
    if shows_gm is None:
        shows_gm = "gm" in given or stem.rpartition("_")[2] in SHOWS_GM
    rule = LesionRule(wishes.lesion_threshold, wishes.min_lesion_mm3)
    found = segment(
        image,
        grey_matter=shows_gm,
        lesions=rule,
        models=given,
        views=wishes.views,
        post_process=wishes.post_process,
    )
    slices = measure_sections(found)
    result = Result(found, slices, *measure_whole(slices))
    for text in result.found.warnings:
        LOG.warning("%s", text)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out_dir} can't be written: {error.strerror}") from error
    for kind, write in _images(result).items():
        put_made(out_dir, out_dir / plain_name(stem, kind), write)
    table = result.slices.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.4f")
    put_text(out_dir, out_dir / plain_name(stem, "perslice"), table)
    summary = summarise_result(result, path)
    put_text(out_dir, out_dir / f"{stem}_segment.json", json_text(summary) + "\n")
    end_temporary(out_dir)
    return result


def summarise_result(result: Result, path: Path) -> dict[str, Any]:
    """Return the numbers of an image, and which networks they are from."""
    found, gm_mm3 = result.found, None
    if found.grey_matter is not None:
        inside = float((found.grey_matter.data * found.cord.data).sum())
        gm_mm3 = round(inside * found.cord.voxel_volume, 1)
    return {
        "image": path.name,
        "volume_mm3": result.volume.rounded(),
        "mean_area_mm2": result.area.rounded(),
        "slices": len(result.slices),
        "complete_slices": int(result.slices["complete"].sum()),
        "doubtful_slices": sorted(found.doubtful),
        "centerline_length_mm": round(found.centerline.length, 1),
        "confidence": round(found.confidence, 3),
        "outline_moved": asdict(found.moved) if found.moved is not None else None,
        "gm_mm3": gm_mm3,
        "lesions_mm3": [round(size, 1) for size in found.lesion_volumes_mm3],
        "interval": "95 %, from the uncertainty of the networks",
        "warnings": list(found.warnings),
        "models": {
            name: {key: card.get(key) for key in ("name", "version", "sha256", "temperature")}
            for name, card in found.cards.items()
        },
        "device": str(find_device(os.environ.get(VARIABLE, "cpu"))),
    }


def describe_result(result: Result) -> str:
    """Say in one line what was found."""
    sizes = result.found.lesion_volumes_mm3
    lesions = f"{len(sizes)} lesions of {sum(sizes):.0f} mm3" if sizes else "no lesion"
    return (
        f"cord {result.volume.in_words('mm3')}, mean area {result.area.in_words('mm2')} "
        f"in {len(result.slices)} slices; {lesions}"
    )


def _images(result: Result) -> dict[Kind, Callable[[Path], object]]:
    """Return how each image is written."""
    found, cord = result.found, result.found.cord
    masks: dict[Kind, Image] = {
        "cord": cord,
        "centerline": cord.with_data(rasterise(found.centerline, cord)),
    }
    if found.lesions is not None:
        masks["lesion"] = found.lesions.with_data(found.lesions.data > 0)
    maps: dict[Kind, Image | None] = {
        "cord_probability": found.probability,
        "lesion_probability": found.lesion_probability,
        "cord_uncertainty": found.spread,
        "gm_probability": found.grey_matter,
    }
    if found.spread is None or not found.spread.data.any():  # with one view
        del maps["cord_uncertainty"]
    return {
        **{kind: partial(save, image, dtype=np.uint8) for kind, image in masks.items()},
        **{kind: partial(save, image) for kind, image in maps.items() if image is not None},
    }
