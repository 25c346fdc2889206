"""The viewer of one participant: a page that scrolls through the cord in three planes.

The page holds NiiVue and the images themselves: the box around the cord, 8 bit, with its masks.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from spinalprep.bids.atomic import put_text
from spinalprep.bids.places import report_path, viewer_path
from spinalprep.image import Image
from spinalprep.reports import views
from spinalprep.reports.facts import ReportFacts
from spinalprep.reports.run_outputs import RunOutputs
from spinalprep.reports.scenes import Scene
from spinalprep.reports.viewer_page import (
    COARSEST_MM,
    MARGINS_MM,
    Box,
    Page,
    encode,
    middle,
    start_of,
)

SHOWN_PERCENT = (0.1, 99.9)  # of the box: what 8 bits span


def write_viewer(out_dir: Path, participant: str, facts: ReportFacts) -> Path | None:
    """Write ``out_dir/sub-<participant>_viewer.html`` from what lies in the output folder.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    participant : str
        Label without ``sub-``.
    facts : ReportFacts
        What the folder does not tell.

    Returns
    -------
    path : Path or None
        The page, at most `viewer_page.MOST_BYTES` large; None where no image has a cord, and a
        page of an earlier run is removed.
    """
    path = viewer_path(out_dir, participant)
    found = [(run, RunOutputs(out_dir, run)) for run in facts.runs]
    scenes = [(run.prefix, out, out.scene) for run, out in found if out.scene is not None]
    if not scenes:
        path.unlink(missing_ok=True)
        return None
    page = Page(f"sub-{participant}", report_path(out_dir, participant).name, facts.version)
    most = page.bytes_left // len(scenes)
    runs = [
        _fitting(prefix, out, scene, most) for prefix, out, scene in scenes if scene is not None
    ]
    put_text(out_dir, path, page.render(runs))
    return path


def _fitting(prefix: str, outputs: RunOutputs, scene: Scene, most: int) -> dict[str, Any]:
    """Return an image with its masks, as large and as fine as ``most`` bytes allow."""
    assert outputs.cord is not None
    for coarsest_mm, margin_mm in itertools.product(COARSEST_MM, MARGINS_MM):
        box = Box.around(outputs.cord, margin_mm, coarsest_mm)
        volumes = _volumes(box, outputs, scene)
        if sum(map(len, volumes.values())) < 0.97 * most:  # the rest is names and levels
            break
    return {
        "name": prefix,
        "volumes": volumes,
        "window": _window(box, scene),
        "first": int(box.corner[2]),
        "thick": float(box.spacing[2] / scene.image.voxel_sizes[2]),
        "levels": _levels(scene),
        "doubtful": sorted(int(k) for k in scene.doubtful),
        "lesions": _lesions(box, outputs.image("lesions")),
        "start": start_of(box.cut(outputs.cord).data > 0.5),
        "note": box.note(scene.image),
    }


def _volumes(box: Box, outputs: RunOutputs, scene: Scene) -> dict[str, str]:
    """Return image, masks and numbered lesions as base64 of compressed NIfTI, by name."""
    low, high = _span(box, scene)
    image = box.cut(scene.image)
    grey = np.round(255 * np.clip((image.data - low) / (high - low), 0, 1))
    volumes = {"image": encode(image.with_data(grey))}
    for name, mask in scene.masks.items():
        part = box.cut(mask.with_data(mask.data.astype(np.float32)))
        smooth = ndimage.gaussian_filter(part.data, (views.SMOOTH, views.SMOOTH, 0))
        volumes[name] = encode(part.with_data(np.round(255 * np.clip(smooth, 0, 1))))
    lesions = outputs.image("lesions")
    if lesions is not None:
        volumes["numbers"] = encode(box.cut(lesions, order=0))
    return volumes


def _span(box: Box, scene: Scene) -> tuple[float, float]:
    """Return the values of the image that become 0 and 255."""
    low, high = np.nanpercentile(box.part(scene.image), SHOWN_PERCENT)
    low, high = min(low, scene.window.low), max(high, scene.window.high)
    return float(low), float(max(high, low + 1e-6))


def _window(box: Box, scene: Scene) -> list[float]:
    """Return what is shown as black and as white, of 0 to 255."""
    low, high = _span(box, scene)
    ends = (scene.window.low, scene.window.high)
    return [round(255 * (end - low) / (high - low), 1) for end in ends]


def _levels(scene: Scene) -> list[dict[str, Any]]:
    """Return the name of every vertebral level with its first and last slice, of the image."""
    slices: dict[str, list[int]] = {}
    for k, level in scene.levels.items():
        slices.setdefault(level, []).append(k)
    return [{"name": name, "low": min(ks), "high": max(ks)} for name, ks in slices.items()]


def _lesions(box: Box, lesions: Image | None) -> Sequence[Mapping[str, Any]]:
    """Return number and a voxel in the middle of every lesion, on the grid of the page."""
    if lesions is None:
        return []
    labels = np.round(box.cut(lesions, order=0).data).astype(int)
    numbers = np.unique(labels[labels > 0])
    return [{"number": int(n), "voxel": middle(labels == n)} for n in numbers]
