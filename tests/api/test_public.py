"""What is public: listed, described, shown by example, and loaded late."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spinalprep as sp

STEPS = ("load", "segment", "label_levels", "register", "measure", "straighten", "example")
HEAVY = {"ants", "matplotlib", "nibabel", "numpy", "pandas", "pydra", "scipy", "torch"}


def test_the_list_is_whole_and_every_name_is_there() -> None:
    assert set(STEPS) <= set(sp.__all__) == set(dir(sp))
    assert all(getattr(sp, name) is not None for name in sp.__all__)


@pytest.mark.parametrize("name", [n for n in sp.__all__ if inspect.isfunction(getattr(sp, n))])
def test_every_function_is_described_and_shown_by_example(name: str) -> None:
    text = inspect.getdoc(getattr(sp, name)) or ""
    for section in ("Parameters\n---", "Returns\n---", "Raises\n---", "Examples\n---"):
        assert section in text or (section.startswith("Raises") and name == "straighten"), section
    assert f"sp.{name}(" in text.partition("Examples\n")[2]
    described = re.findall(r"^([a-z_, ]+) :", text, re.MULTILINE)
    told = {word.strip() for names in described for word in names.split(",")}
    assert set(inspect.signature(getattr(sp, name)).parameters) <= told | {"age", "sex"}


def test_nothing_heavy_is_loaded_before_it_is_used() -> None:
    code = "import sys, spinalprep; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ast.literal_eval(done.stdout)}
    assert "lazy_loader" in loaded
    assert not loaded & HEAVY


def test_the_stub_names_what_a_type_checker_may_know() -> None:
    assert (Path(sp.__file__).with_name("py.typed")).is_file()
    tree = ast.parse(Path(sp.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname for node in imports for alias in node.names}
    assert names == set(sp.__all__)
