"""Vertebral levels as a file: JSON, arc lengths in mm along the centerline."""

import json
from pathlib import Path

from spinalprep.levels.discs import Levels


def write_levels(levels: Levels, path: Path) -> Path:
    """Write levels and return the absolute path."""
    content = {
        "disc_s_mm": {str(n): s for n, s in levels.disc_s.items()},
        "source": levels.source,
        "placed": list(levels.placed),
        "probability": levels.probability,
        "residual_mm": levels.residual_mm,
    }
    path.write_text(json.dumps(content))
    return path.absolute()


def read_levels(path: Path) -> Levels:
    """Read levels as `write_levels` wrote them."""
    content = json.loads(path.read_text())
    return Levels(
        disc_s={int(n): float(s) for n, s in content["disc_s_mm"].items()},
        source=content["source"],
        placed=tuple(content["placed"]),
        probability=float(content["probability"]),
        residual_mm=content["residual_mm"],
    )
