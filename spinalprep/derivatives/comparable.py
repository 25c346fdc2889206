"""Whether the measures of a session run can be held against healthy people."""

from collections.abc import Mapping
from typing import Any

from spinalprep.bids.session_files import SessionFiles
from spinalprep.errors import InputError
from spinalprep.image.grids import voxel_edges
from spinalprep.normative.calibration import MaskSource, load_calibration
from spinalprep.settings import Settings


def why_uncalibrated(
    files: SessionFiles, settings: Settings, cards: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return why there are no z-scores for the cord of a session run; empty where there are.

    Parameters
    ----------
    files : SessionFiles
        The reference image, and what people drew on it.
    settings : Settings
        Those that change masks count.
    cards : mapping of str to mapping
        Of the networks.
    """
    try:
        edges = voxel_edges(files.reference.path)
    except InputError:  # nothing was measured either
        return "the image cannot be read"
    card = cards["cord"]
    altered = {
        "--denoise": settings.denoise,
        "--sloppy": settings.sloppy,
        "--skip n4": "n4" in settings.skip,
        "--model centerline": "centerline" in settings.models,
        "--edge-contrasts": settings.moves_outline(files.reference.contrast),
        "a manual centerline": files.is_drawn("centerline"),
    }
    source = MaskSource(
        contrast=files.reference.contrast,
        weights=None if files.is_drawn("cord") else str(card["sha256"]),
        temperature=float(card.get("temperature", 1.0)),
        voxel_mm=edges,
        altered=tuple(name for name, yes in altered.items() if yes),
    )
    return load_calibration().refuses(source)
