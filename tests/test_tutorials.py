"""The tutorials: their commands are run as they are printed, in order, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = ("phantom", "own-data", "correct", "group-study")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = """#!{python}
import sys
from spinalprep.{module} import main
if __name__ == "__main__":  # worker processes read this file again
    sys.exit(main())
"""
LEFT = {
    "phantom": ("out/sub-01.html", "out/sub-01_viewer.html"),
    "own-data": ("results/sub-01/anat/sub-01_space-T2w_label-SC_desc-perlevel_morph.tsv",),
    "correct": ("results/sub-01/anat/sub-01_space-T2w_label-SC_desc-auto_mask.nii.gz",),
    "group-study": ("cohort/derivatives/spinalprep/group_viewer.html",),
}


def commands(name: str) -> list[str]:
    return BLOCK.findall((DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return a folder to work in, and an environment that has the two commands."""
    folder = tmp_path_factory.mktemp("tutorials")
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    for name, module in (("spinalprep", "app.main"), ("spinalprep-tools", "tools.main")):
        command = bin_dir / name
        command.write_text(SCRIPT.format(python=sys.executable, module=module))
        command.chmod(0o755)
    root = str(DOCS.parent)
    path = f"{bin_dir}{os.pathsep}{os.environ['PATH']}"
    return folder, {**os.environ, "PATH": path, "PYTHONPATH": root}


def test_every_tutorial_is_run_here_and_has_commands() -> None:
    assert {path.stem for path in (DOCS / "tutorials").glob("*.md")} == set(TUTORIALS)
    assert all(len(commands(name)) >= 2 for name in TUTORIALS)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial(name: str, bench: tuple[Path, dict[str, str]]) -> None:
    folder, environment = bench
    script = "set -euo pipefail\n" + "\n".join(commands(name))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    missing = [path for path in LEFT[name] if not (folder / path).is_file()]
    assert not missing
    if name == "phantom":
        assert "sub-01\tfinished" in done.stdout
