"""Vertebral levels as a file: JSON, arc lengths in mm along the centerline."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinalprep.levels.carry import Source
from spinalprep.levels.discs import Levels


def write_levels(levels: Levels, path: Path) -> Path:
    """Write levels and return the absolute path."""
    path.write_text(json.dumps(_content(levels)))
    return path.absolute()


def read_levels(path: Path) -> Levels:
    """Read levels as `write_levels` wrote them."""
    return _levels(json.loads(path.read_text()))


def write_sources(sources: Sequence[Source], path: Path) -> Path:
    """Write the images that are sure of their levels and return the absolute path."""
    rows = [_content(one.levels) | {"coverage_mm": one.coverage_mm} for one in sources]
    path.write_text(json.dumps(rows))
    return path.absolute()


def read_sources(path: Path) -> list[Source]:
    """Read images as `write_sources` wrote them."""
    rows = json.loads(path.read_text())
    return [Source(_levels(row), float(row["coverage_mm"])) for row in rows]


def _content(levels: Levels) -> dict[str, Any]:
    """Return levels as JSON has them."""
    return {
        "disc_s_mm": {str(n): s for n, s in levels.disc_s.items()},
        "source": levels.source,
        "placed": list(levels.placed),
        "probability": levels.probability,
        "residual_mm": levels.residual_mm,
    }


def _levels(content: dict[str, Any]) -> Levels:
    """Return levels from JSON."""
    return Levels(
        disc_s={int(n): float(s) for n, s in content["disc_s_mm"].items()},
        source=content["source"],
        placed=tuple(content["placed"]),
        probability=float(content["probability"]),
        residual_mm=content["residual_mm"],
    )
