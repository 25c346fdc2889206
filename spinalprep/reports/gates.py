"""Quality gates: one table of metric, threshold and what to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """One row of the table.

    Attributes
    ----------
    metric : str
        What is measured.
    warn, fail : float or None
        Where WARN and FAIL begin; None never.
    better : str
        ``high`` or ``low``.
    action : str
        What to do about it.
    """

    metric: str
    warn: float | None
    fail: float | None
    better: str
    action: str

    def result(self, value: float | None) -> str:
        """Return PASS, WARN, FAIL, or ``n/a`` for what was not measured.

        Examples
        --------
        >>> Gate("dice", 0.9, 0.8, "high", "look").result(0.85)
        'WARN'
        """
        if value is None or not np.isfinite(value):
            return "n/a"
        for word, threshold in (("FAIL", self.fail), ("WARN", self.warn)):
            if threshold is not None and self._beyond(value, threshold):
                return word
        return "PASS"

    def _beyond(self, value: float, threshold: float) -> bool:
        return value < threshold if self.better == "high" else value > threshold


def load_gates(path: Path | None = None) -> tuple[Gate, ...]:
    """Return the gates; a user's JSON file of the same form overrides single values.

    Raises
    ------
    UsageError
        If the file can't be read, or names an unknown metric or value.
    """
    table: dict[str, dict[str, Any]] = json.loads(
        (files("spinalprep") / "data" / "gates.json").read_text()
    )
    for metric, changes in _read(path).items():
        if metric not in table:
            raise UsageError(f"{path}: no gate {metric!r}; expected one of {', '.join(table)}")
        unknown = set(changes) - set(table[metric])
        if unknown:
            raise UsageError(f"{path}: gate {metric} has no {', '.join(sorted(unknown))}")
        table[metric].update(changes)
    return tuple(Gate(metric, **row) for metric, row in table.items())


def judge(measured: Mapping[str, float | None], gates: tuple[Gate, ...]) -> pd.DataFrame:
    """Return one row per gate: metric, value, threshold, result, action."""
    rows = []
    for gate in gates:
        value = measured.get(gate.metric)
        result = gate.result(value)
        rows.append(
            {
                "metric": gate.metric,
                "value": np.nan if value is None else float(value),
                "threshold": gate.fail if result == "FAIL" else gate.warn,
                "result": result,
                "action": gate.action if result in ("WARN", "FAIL") else "",
            }
        )
    return pd.DataFrame(rows)


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        content: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read as a table of gates: {error}") from error
    if not all(isinstance(row, dict) for row in content.values()):
        raise UsageError(f"{path}: expected an object of objects, metric to values")
    return content
