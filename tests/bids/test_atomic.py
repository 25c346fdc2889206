"""Files are whole or not there, and are not touched without need."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids import atomic
from spinalprep.bids.derivatives import write_image
from spinalprep.image import Image


def leftovers(out: Path) -> list[str]:
    return [str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()]


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    assert atomic.put_text(tmp_path, target, "one")
    os.utime(target, ns=(1, 1))
    assert not atomic.put_text(tmp_path, target, "one")
    assert target.stat().st_mtime_ns == 1
    assert atomic.put_text(tmp_path, target, "two")
    assert target.read_text() == "two"


def test_a_copy_is_a_file_of_its_own(tmp_path: Path) -> None:
    source, target = tmp_path / "cache", tmp_path / "out" / "x"
    source.write_bytes(b"12")
    assert atomic.put_copy(tmp_path, target, source)
    assert not atomic.put_copy(tmp_path, target, source)
    assert not target.is_symlink()
    assert target.stat().st_ino != source.stat().st_ino
    source.write_bytes(b"21")  # same size
    assert target.read_bytes() == b"12"
    assert atomic.put_copy(tmp_path, target, source)
    assert target.read_bytes() == b"21"


def test_an_image_is_the_same_bytes_twice(tmp_path: Path) -> None:
    image = Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.diag([-1.0, 1, 1, 1]))
    target = tmp_path / "x.nii.gz"
    assert write_image(tmp_path, target, image, {"Description": "x"})
    os.utime(target, ns=(1, 1))
    assert not write_image(tmp_path, target, image, {"Description": "y"})
    assert target.stat().st_mtime_ns == 1
    assert "y" in (tmp_path / "x.json").read_text()
    assert np.array_equal(np.asarray(nib.loadsave.load(target).dataobj), image.data)


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.nii.gz"
    target.write_bytes(b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.put_made(tmp_path, target, fail)
    assert target.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["x.nii.gz"]


def test_a_killed_process_leaves_no_half_file_and_is_cleaned_up(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from spinalprep.bids.atomic import put_made
        def die(path):
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        out = Path(sys.argv[1])
        put_made(out, out / "sub-01" / "x.nii.gz", die)
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    (left,) = leftovers(tmp_path)
    assert left.startswith(atomic.TEMPORARY)
    atomic.clear_temporary(tmp_path)
    assert leftovers(tmp_path) == []
    assert not (tmp_path / atomic.TEMPORARY).exists()


def test_the_files_of_a_living_process_stay(tmp_path: Path) -> None:
    host = atomic._own(tmp_path).name.partition("@")[0]
    living = tmp_path / atomic.TEMPORARY / f"{host}@{os.getppid()}"
    elsewhere = tmp_path / atomic.TEMPORARY / "another-machine@1"
    ancient = tmp_path / atomic.TEMPORARY / "another-machine@2"
    other = "pid:[4026539999]"  # of a container with processes of its own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "readlink", lambda _: other)
        contained = atomic._own(tmp_path)
    for folder in (living, elsewhere, ancient, contained):
        folder.mkdir(parents=True)
    os.utime(ancient, (0, 0))
    atomic.clear_temporary(tmp_path)
    assert living.is_dir()
    assert elsewhere.is_dir()
    assert contained.is_dir()
    assert not ancient.exists()
