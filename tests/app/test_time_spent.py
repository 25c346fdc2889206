"""The end of a run says where its time went, and what of it an option would save."""

from pathlib import Path

import pytest

from spinalprep.app.outcome import ComputedTask
from spinalprep.app.time_spent import time_lines
from spinalprep.memory import Usage
from spinalprep.settings import Settings

TASKS = (
    ("preprocess", "CorrectBias", 8.0),
    ("automatic", "SegmentCord", 6.0),
    ("automatic", "SegmentLesions", 1.0),
    ("template", "RegisterToTemplate", 12.0),
    ("template", "WarpImages", 7.0),
    ("lesion_template", "WarpLesions", 2.0),
    ("coregister_T1w", "Coregister", 3.0),
    ("coregister_T2starw", "Coregister", 2.0),
    ("levels", "LabelLevels", 0.4),
)


def lines(factor: float = 1.0, **options: object) -> list[str]:
    tasks = [ComputedTask(s, t, 9.0, 1.0, Usage(cpu_s=factor * cpu)) for s, t, cpu in TASKS]
    settings = Settings(Path("in"), Path("out"), "participant", mem_gb=4.0, **options)
    return list(time_lines(tasks, settings))


def test_the_longest_stages_come_first() -> None:
    where, _ = lines()
    assert where == (
        "CPU time of 9 tasks: 41 s (template 19 s, preprocess 8 s, automatic 7 s, "
        "coregister 5 s, others 2 s)"
    )


def test_only_what_is_worth_it_is_advised() -> None:
    _, how = lines()
    assert "--output-spaces reference saves 9 s" in how
    assert "--skip template saves 21 s" in how
    assert "--skip coreg saves 5 s" in how
    assert "--skip lesion" not in how  # 3 of 41 s


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({"output_spaces": ("reference",)}, "--output-spaces"),
        ({"skip": ("template", "n4")}, "--skip template"),
        ({"skip": ("template", "n4")}, "--skip n4"),
    ],
)
def test_what_is_left_out_already_is_not_advised(options: dict[str, object], gone: str) -> None:
    assert gone not in lines(**options)[1]


def test_a_short_run_says_nothing() -> None:
    assert lines(0.2) == []
