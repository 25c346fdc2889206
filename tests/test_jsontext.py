"""No undefined number reaches a file."""

import json
from pathlib import Path

import numpy as np

from spinalprep.jsontext import json_text


def test_undefined_numbers_are_null_wherever_they_are() -> None:
    content = {
        "gain": float("nan"),
        "deep": [{"x": np.float32("inf")}, (1, np.nan)],
        "array": np.array([1.5, np.nan]),
        "flag": np.bool_(True),
        "path": Path("a/b"),
        5: None,
    }

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(json_text(content), parse_constant=refuse) == {
        "gain": None,
        "deep": [{"x": None}, [1, None]],
        "array": [1.5, None],
        "flag": True,
        "path": "a/b",
        "5": None,
    }
