"""Says which tests of the fast lane are none; nothing fails for its time."""

from collections import Counter
from typing import Any

LIMIT_S = 5.0


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests without the mark ``slow`` that took long, fixtures and all."""
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and "slow" not in report.keywords:
                spent[report.nodeid] += report.duration
    long = [(name, seconds) for name, seconds in spent.most_common() if seconds > LIMIT_S]
    if long:
        terminalreporter.section(f"over {LIMIT_S:g} s without the mark slow")
    for name, seconds in long:
        terminalreporter.write_line(f"{seconds:5.0f} s  {name}")
