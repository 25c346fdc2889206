"""JSON as people and scanners save it, refused in one line where it is none."""

import json
from pathlib import Path
from typing import Any

from spinalprep.errors import InputError

LARGEST_BYTES = 10_000_000  # sidecars with every DICOM field have 100 kB


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file.

    Parameters
    ----------
    path : Path
        UTF-8, UTF-16 or UTF-32, with or without a byte order mark. Numbers that JSON does not
        know (NaN, Infinity) are read as None.

    Raises
    ------
    InputError
        If it can't be read, is larger than 10 MB, is nested too deeply, or is no object.
    """
    try:
        if path.exists() and not path.is_file():  # a named pipe would be waited for
            raise InputError(f"{path.name} can't be read as JSON (it is not a file)")
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise InputError(f"{path.name} can't be read as JSON (it has {size / 1e6:.0f} MB)")
        content = json.loads(path.read_bytes(), parse_constant=lambda name: None)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{path.name} can't be read as JSON ({why})") from error
    except RecursionError as error:
        raise InputError(f"{path.name} can't be read as JSON (nested too deeply)") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} does not contain a JSON object")
    return content
