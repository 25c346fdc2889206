"""``spinalprep-tools segment``: one image file, no BIDS, no template."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary, put_made, put_text
from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import plain_name
from spinalprep.bids.names import SHOWS_GM, image_stem
from spinalprep.cord.centerline import Centerline, rasterise
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.whole import Estimate, measure_whole
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.errors import UsageError
from spinalprep.image import Image, save
from spinalprep.image.sanity import conform
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.networks.cascade import Found, Networks, find_cord
from spinalprep.networks.predict import VIEWS
from spinalprep.networks.weights import Model, load_model

REQUIRED, OPTIONAL = ("centerline", "cord", "lesion"), ("gm",)


@dataclass(frozen=True)
class Result:
    """What was found in an image.

    Attributes
    ----------
    found : Found
        Masks and maps on the image's grid.
    lesions : Image of int32, shape (I, J, K)
        Lesions 1 to N, the largest first.
    shows_gm : bool
        Whether grey matter was looked for; its map says nothing otherwise.
    slices : DataFrame
        See `measure_slices`.
    volume, area : Estimate
        Of the whole cord in mm3, and the mean of its sections in mm2.
    """

    found: Found[Image, Centerline]
    lesions: Image
    shows_gm: bool
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
        Look for grey matter; None goes by the contrast in the file's name, as the App does.
    views : int
        Of every window, see `networks.predict.segment`; with one there is no spread.
    """

    lesion_threshold: float = LESION_THRESHOLD
    min_lesion_mm3: float = MIN_LESION_MM3
    shows_gm: bool | None = None
    views: int = VIEWS


def load_models(given: Mapping[str, Path], shows_gm: bool = True) -> dict[str, Model]:
    """Load the packaged networks, or those that are given in their place.

    Without ``shows_gm`` the network of grey matter is left out.

    Raises
    ------
    UsageError
        If a name is none of a network.
    ModelError
        If weights are missing or corrupt.
    """
    known = (*REQUIRED, *OPTIONAL)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"--model {unknown[0]}=...: expected one of {', '.join(known)}")
    names = (*REQUIRED, *(OPTIONAL if shows_gm else ()))
    return {name: load_model(given.get(name, name)) for name in names}


def segment_image(image: Image, models: Mapping[str, Model], wishes: Wishes) -> Result:
    """Find cord, grey matter and lesions, and measure the cord.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Voxel order LAS.
    models : mapping of Model
        ``centerline``, ``cord``, ``lesion``, and ``gm`` where grey matter can be seen.
    wishes : Wishes

    Raises
    ------
    NoCordError
        If the networks see none.
    """
    found = find_cord(image, Networks(**models), views=wishes.views)
    shows_gm = "gm" in models
    rule = LesionRule(wishes.lesion_threshold, wishes.min_lesion_mm3)
    numbers = call_lesions(found.lesion, image, found.cord, found.centerline, rule).labels
    grey = found.gm if shows_gm else None
    spread = found.uncertainty  # 0 with one view: the interval keeps a network's edge
    slices = measure_slices(
        found.probability,
        found.centerline,
        grey,
        spread,
        gm_found=True,
        doubtful=found.doubtful,
    )
    return Result(found, image.with_data(numbers), shows_gm, slices, *measure_whole(slices))


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
    image = conform(path)
    wishes = wishes or Wishes()
    stem = image_stem(path)
    shows_gm = wishes.shows_gm
    if shows_gm is None:
        shows_gm = "gm" in given or stem.rpartition("_")[2] in SHOWS_GM
    models = load_models(given, shows_gm)
    result = segment_image(image, models, wishes)
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
    summary = summarise_result(result, path, models)
    put_text(out_dir, out_dir / f"{stem}_segment.json", json.dumps(summary, indent=2) + "\n")
    end_temporary(out_dir)
    return result


def summarise_result(result: Result, path: Path, models: Mapping[str, Model]) -> dict[str, Any]:
    """Return the numbers of an image, and which networks they are from."""
    voxel = result.lesions.voxel_volume
    sizes = np.bincount(result.lesions.data.astype(int).ravel())[1:] * voxel
    gm = float((result.found.gm.data * result.found.cord.data).sum()) * voxel
    gm_mm3 = round(gm, 1) if result.shows_gm else None
    return {
        "image": path.name,
        "volume_mm3": result.volume.rounded(),
        "mean_area_mm2": result.area.rounded(),
        "slices": len(result.slices),
        "complete_slices": int(result.slices["complete"].sum()),
        "doubtful_slices": sorted(result.found.doubtful),
        "centerline_length_mm": round(result.found.centerline.length, 1),
        "confidence": round(result.found.confidence, 3),
        "gm_mm3": gm_mm3,
        "lesions_mm3": [round(float(size), 1) for size in sizes],
        "interval": "95 %, from how sure the networks are of themselves",
        "warnings": list(result.found.warnings),
        "models": {
            name: {key: model.card.get(key) for key in ("name", "version", "sha256", "temperature")}
            for name, model in models.items()
        },
    }


def describe_result(result: Result) -> str:
    """Say in one line what was found."""
    sizes = np.bincount(result.lesions.data.astype(int).ravel())[1:]
    total = float(sizes.sum()) * result.lesions.voxel_volume
    lesions = f"{len(sizes)} lesions of {total:.0f} mm3" if len(sizes) else "no lesion"
    return (
        f"cord {result.volume.in_words('mm3')}, mean area {result.area.in_words('mm2')} "
        f"in {len(result.slices)} slices; {lesions}"
    )


def _images(result: Result) -> dict[Kind, Callable[[Path], object]]:
    """Return how each image is written."""
    found, grid = result.found, result.lesions
    line = rasterise(found.centerline, grid)
    masks: dict[Kind, np.ndarray] = {
        "cord": found.cord.data,
        "centerline": line,
        "lesion": grid.data > 0,
    }
    maps: dict[Kind, np.ndarray] = {
        "cord_probability": found.probability.data,
        "lesion_probability": found.lesion.data,
    }
    if found.uncertainty.data.any():  # not with one view
        maps["cord_uncertainty"] = found.uncertainty.data
    if result.shows_gm:
        maps["gm_probability"] = found.gm.data
    return {
        **{kind: partial(save, grid.with_data(d), dtype=np.uint8) for kind, d in masks.items()},
        **{kind: partial(save, grid.with_data(d)) for kind, d in maps.items()},
    }
