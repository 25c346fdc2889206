"""A run starts fast: the main process loads nothing that only tasks need."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ants", "sklearn", "matplotlib", "onnxruntime")


@pytest.mark.slow
def test_the_main_process_needs_no_network_library() -> None:
    code = f"import sys, spinalprep.app.run; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
