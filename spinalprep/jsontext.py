"""JSON without NaN: an undefined number is null, as JSON knows no other."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(content: Any, indent: int | None = 2) -> str:
    """Return a value as JSON; NaN and infinite numbers become null.

    Parameters
    ----------
    content : Any
        Mappings, sequences, text, numbers; numpy's numbers and arrays, and paths as text.
    indent : int or None
        Blanks per level; None writes one line.

    Examples
    --------
    >>> json_text({"gain": float("nan"), "slices": (1, 2)}, indent=None)
    '{"gain": null, "slices": [1, 2]}'
    """
    return json.dumps(_defined(content), indent=indent, ensure_ascii=False, allow_nan=False)


def _defined(value: Any) -> Any:
    """Return a value in the types of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _defined(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_defined(one) for one in value]
    if hasattr(value, "tolist"):  # of numpy, which is not loaded to ask
        return _defined(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
