"""Quality gates: one table of metric, threshold and what to do."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.errors import UsageError
from spinalprep.flags import read_settings_text


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
    """Return the gates; a user's file of the same form overrides single values.

    Parameters
    ----------
    path : Path or None
        JSON or TOML (by its ending): metric to any of ``warn``, ``fail``, ``better``, ``action``.
        ``null`` or ``"none"`` switches a threshold off.

    Raises
    ------
    UsageError
        If the file can't be read, or names an unknown metric, or a value is not of its kind.
    """
    table: dict[str, dict[str, Any]] = json.loads(
        (files("spinalprep") / "data" / "gates.json").read_text(encoding="utf-8")
    )
    for metric, changes in _read(path).items():
        if metric not in table:
            raise UsageError(f"{path}: no gate {metric!r}; expected one of {', '.join(table)}")
        for key, value in changes.items():
            table[metric][key] = _checked(f"{path}: gate {metric}: {key}", key, value)
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


def _checked(where: str, key: str, value: Any) -> Any:
    """Return a user's value of a gate, or say why it is none."""
    if key in ("warn", "fail"):
        if value is None or value == "none":
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
            return float(value)
        raise UsageError(f"{where} is {value!r}; expected a number or none")
    if key == "better" and value in ("high", "low"):
        return value
    if key == "action" and isinstance(value, str):
        return value
    raise UsageError(f"{where} = {value!r} is not known; expected warn, fail, better or action")


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        text = read_settings_text(path)
        content: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} can't be read as a table of gates: {reason}") from error
    if not isinstance(content, dict) or not all(isinstance(r, dict) for r in content.values()):
        raise UsageError(f"{path}: expected a table of tables, metric to values")
    return content
