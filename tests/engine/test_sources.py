"""What a code key covers."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fileformats.generic import File
from pydra.utils.hash import hash_function

from spinalprep.engine import hashing, sources

FILES = {
    "__init__.py": "",
    "top.py": "from shelf.near import f\n\ndef g():\n    import shelf.inner.far\n    return f\n",
    "near.py": "from shelf import constant\n\ndef f():\n    return constant.C\n",
    "constant.py": "C = 1\n",
    "inner/__init__.py": "from . import beside\n",
    "inner/far.py": "from ..lonely import x\nimport numpy\n",
    "inner/beside.py": "y = 1\n",
    "lonely.py": "x = 1\n",
    "apart.py": "z = 1\n",
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Return the folder of a package on the path, followed."""
    root = tmp_path / "shelf"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "_FOLLOWED", ["spinalprep", "shelf"])
    sources.forget()
    yield root
    sources.forget()


def key_after(shelf, name, text):
    """Return the key of the top module once a file holds another text."""
    (shelf / name).write_text(text)
    sources.forget()
    return sources.code_key("shelf.top")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("constant.py", "C = 2\n"),
        ("near.py", FILES["near.py"].replace("constant.C", "constant.C + 1")),
        ("inner/far.py", FILES["inner/far.py"] + "w = 1\n"),
        ("inner/beside.py", "y = 2\n"),
        ("lonely.py", "x = 2\n"),
        ("__init__.py", "v = 1\n"),
        ("top.py", FILES["top.py"].replace("return f", "return f()")),
    ],
)
def test_everything_that_is_reached_counts(shelf, name, text):
    before = sources.code_key("shelf.top")
    assert key_after(shelf, name, text) != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("apart.py", "z = 2\n"),
        ("constant.py", "# one\nC = 1  # uno\n"),
        ("constant.py", '"""Constants."""\n\nC = (1)\n'),
        ("near.py", FILES["near.py"].replace("    return", '    """Docs."""\n    return')),
    ],
)
def test_comments_docstrings_layout_and_strangers_do_not(shelf, name, text):
    before = sources.code_key("shelf.top")
    assert key_after(shelf, name, text) == before


def test_the_version_that_a_build_wrote_does_not_count(shelf):
    text = "from shelf._version import __version__\n"
    before = key_after(shelf, "__init__.py", text)
    assert key_after(shelf, "_version.py", "__version__ = '1'\n") == before
    assert key_after(shelf, "_version.py", "__version__ = '2'\n") == before


def test_versions_of_reached_libraries_count(shelf, monkeypatch):
    before = sources.code_key("shelf.top")
    without = sources.code_key("shelf.apart")
    monkeypatch.setattr(sources, "installed", lambda name: f"{name} 0")
    sources.forget()
    assert sources.code_key("shelf.top") != before
    assert sources.code_key("shelf.apart") == without


def test_an_edit_after_the_key_was_made_is_noticed(shelf):
    sources.code_key("shelf.top")
    stamps = sources.source_stamps("shelf.top")
    assert sources.unchanged(stamps)
    (shelf / "constant.py").write_text("C = 12\n")
    assert sources.source_stamps("shelf.top") == stamps
    assert not sources.unchanged(stamps)


def test_modules_are_read_not_imported(shelf):
    assert "shelf.inner.far" in sources.reached_modules("shelf.top")
    assert not any(name.startswith("shelf") for name in sys.modules)
    with pytest.raises(ModuleNotFoundError, match="no source file"):
        sources.code_key("shelf.nowhere")


def test_type_and_shape_of_arrays_count():
    zeros = [np.zeros(4, "f4"), np.zeros(4, "i4"), np.zeros((2, 2), "f4"), np.float32(0)]
    assert len({hash_function(array) for array in zeros}) == len(zeros)
    assert hash_function(zeros[0]) == hash_function(np.zeros(4, "f4"))


def test_contents_of_files_count_and_not_their_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYDRA_HASH_CACHE", str(tmp_path / "hashes"))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("one")
    first = tmp_path / "a" / "x.txt"
    before = hash_function(File(first))
    assert before == hash_function(File(tmp_path / "b" / "x.txt"))
    times = first.stat()
    first.write_text("two")
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert hash_function(File(first)) != before


def test_digests_of_files_are_kept_in_a_folder_and_asked_for_once(tmp_path, monkeypatch):
    folder = tmp_path / "hashes"
    path = tmp_path / "x.txt"
    path.write_text("one")
    monkeypatch.setenv("PYDRA_HASH_CACHE", str(folder))
    before = hash_function(File(path))
    (kept,) = (entry for entry in folder.iterdir() if entry.suffix != ".lock")
    kept.write_bytes(bytes(16))
    assert hash_function(File(path)) == before
    monkeypatch.setenv("PYDRA_HASH_CACHE", str(tmp_path / "." / ".." / tmp_path.name / "hashes"))
    assert hash_function(File(path)) != before  # read by whoever does not know it yet


def test_the_engine_is_not_needed_to_import_the_package():
    code = (
        "import sys, spinalprep, spinalprep.engine; assert not {'pydra', 'numpy'} & {*sys.modules}"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_onnx_runtime_matters_to_networks_of_its_format_only(tmp_path, monkeypatch):
    def hashes(version):
        monkeypatch.setattr(hashing, "installed", lambda _: version)
        files = [File(tmp_path / name) for name in ("a.onnx", "a.safetensors")]
        return [hash_function(file) for file in files]

    for name in ("a.onnx", "a.safetensors"):
        (tmp_path / name).write_bytes(b"weights")
    with_it, without = hashes("1.22"), hashes("")
    assert with_it[0] != without[0]
    assert with_it[1] == without[1]
    assert "onnxruntime" not in sources._DISTRIBUTIONS
