"""As in a container: no network, a read-only root, folders that are mounted or not."""

import errno
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spinalprep import RELEASE
from spinalprep.bids.dataset import check_folders
from spinalprep.errors import UsageError
from spinalprep.settings import Settings

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template", "--nprocs", "1")
INSIDE = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 99
shift
exec "$@"
"""


@pytest.mark.parametrize(("container", "how"), [("docker", "-v"), ("apptainer", "--bind")])
def test_a_folder_that_is_not_mounted_is_one_line(noise, monkeypatch, container, how) -> None:
    monkeypatch.setenv("SPINALPREP_CONTAINER", container)
    done = noise.run("--template", "/PAM50")
    assert done.code == 2
    assert done.log == (
        "x /PAM50 does not exist in the container; probably it is not mounted "
        f"({container} run {how} /PAM50:/PAM50)\n"
    )
    (noise.home / "file").touch()
    work = noise.home / "file" / "work"
    done = noise.run("-w", str(work))
    assert done.code == 2
    assert "not mounted" not in done.log  # a file is in the way: that is something else
    monkeypatch.delenv("SPINALPREP_CONTAINER")
    assert "not mounted" not in noise.run("--template", "/PAM50").log


def test_a_work_folder_that_is_not_mounted_names_the_cause(noise, monkeypatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setenv("SPINALPREP_CONTAINER", "docker")
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError) as caught:
        check_folders(Settings(noise.raw, noise.out, "participant", work_dir=Path("/work")))
    assert str(caught.value).endswith(
        f"Read-only file system; probably it is not mounted (docker run -v {noise.out}:{noise.out})"
    )


def test_without_a_place_for_temporary_files_nothing_begins(noise, monkeypatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setenv("SPINALPREP_CONTAINER", "docker")
    done = noise.run()
    assert (done.code, noise.out.joinpath("status.tsv").exists()) == (2, False)
    assert done.log.endswith("can be written; set TMPDIR to one (docker run --tmpfs /tmp)\n")


def test_a_temporary_folder_that_is_not_taken_is_said(noise, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert (
        "! TMPDIR=/proc/nowhere can't be written; temporary files go to /"
        in noise.run("--dry-run").log
    )


def test_both_recipes_are_of_this_version_and_of_the_same_base() -> None:
    root = Path(__file__).parents[2]
    docker, apptainer = ((root / name).read_text() for name in ("Dockerfile", "spinalprep.def"))
    for text in (docker, apptainer):
        assert re.search(r"VERSION=([\d.]+)", text)[1] == RELEASE
        assert re.search(r"image\.version[ =]\"?(\$|{{ )\W?VERSION", text)
        assert "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SPINALPREP=" in text
        assert "torch==2.13.0" in text
    assert "\ntorch==2.13.0\n" in (root / "constraints.txt").read_text()
    digests = [re.search(r"@sha256:([0-9a-f]{64})\n", text)[1] for text in (docker, apptainer)]
    assert digests[0] == digests[1]
    assert "USER 1000:1000" in docker


@pytest.mark.long
@pytest.mark.slow
def test_without_a_network_and_with_a_read_only_root(new_study, body) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    for name in ("tmp", "nowhere"):
        (study.home / name).mkdir()
    command = [sys.executable, "-m", "spinalprep", *study.words(*QUICK)]
    alone = ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", str(study.home)]
    scratch = ["env", f"TMPDIR={study.home}/tmp", f"HOME={study.home}/nowhere"]
    look = "import socket; socket.create_connection(('127.0.0.1', 1))"
    probe = subprocess.run(
        [*alone, sys.executable, "-c", look], capture_output=True, text=True, check=False
    )
    if "unreachable" not in probe.stderr:
        pytest.skip(f"no namespaces of one's own here: {probe.stderr.strip()[-100:]}")
    write = subprocess.run([*alone, "touch", str(Path(__file__).parent / "x")], check=False)
    assert write.returncode != 0
    done = subprocess.run([*alone, *scratch, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (study.out / "sub-01.html").is_file()
    assert list((study.home / "nowhere").iterdir()) == []
