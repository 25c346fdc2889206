"""Stages have names, both ways, and typed results."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fileformats.generic import File

from spinalprep import stages
from spinalprep.errors import DefectError
from spinalprep.stages import STAGES, Node, Results

WRONG = """
from spinalprep import stages
from spinalprep.derivatives.publish import _preprocess, _row
from spinalprep.stages import Results

stages.COREGISTERED
Results().get("levels")
print(Results().each(stages.COREGISTER)["T1w"].measures.gian)
_row(stages.AUTOMATIC, _preprocess)
"""


@pytest.mark.parametrize("item", ["", "T1w", "MTSmtoff", "FA_map"])
def test_names_go_both_ways(item: str) -> None:
    for stage in STAGES:
        if item and not stage.each:
            with pytest.raises(DefectError, match="there is one stage"):
                stage.name_of(item)
        else:
            assert Node.named(stage.name_of(item)) == Node(stage, item)


def test_every_name_that_users_know() -> None:
    names = """preprocess automatic manual manual_gm centerline coregister discs sources levels
    shape template template_slices lesionsearch lesionjoin lesion lesion_tables lesion_template
    tumor lumbar masks mtr
    metric"""
    assert [stage.name for stage in STAGES] == names.split()


@pytest.mark.parametrize("name", ["", "preproces", "preproces_T1w", "lesion_T1w"])
def test_a_name_of_no_stage_is_a_defect(name: str) -> None:
    with pytest.raises(DefectError, match="no stage"):
        Node.named(name)


def test_outputs_of_a_task_become_a_result(tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"")
    outputs = SimpleNamespace(image=File(path), warnings=["small"])
    result = stages.PREPROCESS.result_of(outputs)
    assert result == stages.Preprocessed(image=path, warnings=["small"])
    assert type(result.image) is type(path)
    with pytest.raises(DefectError, match=r"manual_gm has no output 'probability'"):
        stages.MANUAL_GM.result_of(outputs)


def test_results_grow_by_copies() -> None:
    image = stages.Preprocessed(image=Path("a"), warnings=["dark"])
    other = stages.Preprocessed(image=Path("b"), warnings=["small"])
    none = Results()
    one = none.having(Node(stages.PREPROCESS, "T1w"), other)
    two = one.having(Node(stages.PREPROCESS), image)
    assert none.get(stages.PREPROCESS) is None
    assert one.get(stages.PREPROCESS) is None
    assert two.get(stages.PREPROCESS) == image
    assert two.each(stages.PREPROCESS) == {"T1w": other, "": image}
    assert two.each(stages.COREGISTER) == {}
    assert two.warnings == ("small", "dark")


@pytest.mark.slow
def test_a_misspelt_stage_is_an_error_of_types(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    command = [sys.executable, "-m", "mypy", str(path)]
    home = Path(stages.__file__).parents[1]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if "wrong.py" in line]
    told = [int(line.split(":")[1]) for line in errors if ": error:" in line]
    assert told == [6, 7, 8, 9], done.stdout
