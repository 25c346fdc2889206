"""A stage goes on without what it can do without, once that is lost; it waits for it until then."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from spinalprep.engine.child import Failure
from spinalprep.engine.events import Observer
from spinalprep.engine.graph import StageTask
from spinalprep.engine.session_run import SessionRun

STAGES = [
    StageTask("first", None, frozenset()),
    StageTask("second", None, frozenset({"first"})),
    StageTask("choice", None, frozenset(), frozenset({"second"})),
    StageTask("end", None, frozenset({"choice"})),
]


class Rehearsal(SessionRun):
    """Stages that take no time; some of them fail."""

    failing: frozenset[str] = frozenset()

    async def _run_stage(self, stage: StageTask) -> None:
        await asyncio.sleep(0)
        if stage.name in self.failing:
            self.failures.append((stage.name, "", Failure("input", "no", "")))
        else:
            self._outputs[stage.name] = stage


@pytest.mark.parametrize(
    ("failing", "ran"),
    [
        ([], ["first", "second", "choice", "end"]),
        (["second"], ["first", "choice", "end"]),
        (["first"], ["choice", "end"]),  # the second is lost with the first
        (["choice"], ["first", "second"]),
    ],
)
def test_only_what_is_spared_may_fail(failing: list[str], ran: list[str], tmp_path: Path) -> None:
    nothing: Any = None
    run = Rehearsal("one", nothing, tmp_path, nothing, Observer(), nothing, lambda change: None)
    run.failing = frozenset(failing)
    asyncio.run(run._run_all({stage.name: stage for stage in STAGES}))
    assert list(run._outputs) == ran
