"""Every script of benchmarks/ goes with the package as it is."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = sorted(path.stem for path in (Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_imports(script: Callable[[str], ModuleType], name: str) -> None:
    assert callable(script(name).main)
