"""As in a container: no network, a read-only root, folders that are mounted or not."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    monkeypatch.delenv("SPINALPREP_CONTAINER")
    assert "not mounted" not in noise.run("--template", "/PAM50").log


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
