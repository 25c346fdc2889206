"""The code of docs/python.md runs, on a synthetic subject."""

import re
from pathlib import Path

import pytest

import spinalprep as sp

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sp.example().save("sub-01_T2w.nii.gz")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # the page's own code
    assert names["unknown"].known is False  # type: ignore[attr-defined]
    assert {"fit", "table", "flat", "drawn"} <= set(names)
