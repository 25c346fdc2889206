"""The file of ``--bids-filter-file``: pybids filters per contrast."""

import json
from pathlib import Path

from spinalprep.bids.names import CONTRASTS
from spinalprep.errors import UsageError
from spinalprep.flags import read_settings_text

Filters = dict[str, dict[str, object]]


def read_filters(path: Path | None) -> Filters:
    """Read a filter file: ``{"t2w": {"acquisition": "sag"}}``; nothing where there is no file.

    Raises
    ------
    UsageError
        If the file can't be read, is of another form, or names an unknown contrast.
    """
    if path is None:
        return {}
    try:
        filters = json.loads(read_settings_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--bids-filter-file {path} can't be read: {error}") from error
    if not isinstance(filters, dict) or not all(isinstance(f, dict) for f in filters.values()):
        raise UsageError(f"--bids-filter-file {path}: expected an object of objects")
    unknown = sorted(set(filters) - {name.lower() for name in CONTRASTS})
    if unknown:
        raise UsageError(f"--bids-filter-file {path}: unknown contrast {', '.join(unknown)}")
    return filters
