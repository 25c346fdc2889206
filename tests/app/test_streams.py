"""Standard streams that are closed or left, and limits that nothing fits in: the real command."""

import shlex
import subprocess
import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SPINALPREP = f"{shlex.quote(sys.executable)} -m spinalprep"
TOOLS = shlex.join(
    [sys.executable, "-c", "from spinalprep.tools.main import main; raise SystemExit(main())"]
)
DRY = ("--template", "Generic", "--dry-run")


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash; what is piped away ends with its own exit code."""
    words = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def test_a_reader_who_leaves_is_no_error(noise) -> None:
    line = f"{SPINALPREP} {shlex.join(noise.words(*DRY))}"
    done = shell(f"{line} | head -1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sub-01  preprocess.Conform  miss")
    assert done.stderr.splitlines() == [
        said for said in done.stderr.splitlines() if said.startswith("  template ")
    ]
    for away in (f"{SPINALPREP} --help", f"{TOOLS} --help"):
        done = shell(f"{away} | true")
        assert (done.returncode, done.stderr) == (0, "")


def test_a_run_with_all_streams_closed(noise) -> None:
    more = ("--template", "Generic", "--nprocs", "1", "--sloppy", "--skip", "n4")
    line = f"{SPINALPREP} {shlex.join(noise.words(*more))}"
    assert shell(f"{line} <&- >&- 2>&-").returncode == 1
    (row,) = pd.read_csv(noise.out / "status.tsv", sep="\t").itertuples()
    assert row.reason.startswith("input: ")
    assert "cord" in row.reason
    said = shell(f"{line} --dry-run >&-")
    assert said.returncode == 0
    assert "error" not in said.stderr


def test_labels_before_the_folders_and_little_memory(noise) -> None:
    labels = ["--participant-label", "01,01"]
    words = [sys.executable, "-m", "spinalprep", *labels, *noise.words(*DRY, "--mem", "0.1")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sub-01  preprocess.Conform" in done.stdout
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("! ")]
    assert "--mem 0.1GB is less than the 2.1 GB that the largest step needs" in warning
