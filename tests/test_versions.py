"""The version that a build derives, from a clone with and without tags, an archive, a folder."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from spinalprep import RELEASE

pytest.importorskip("setuptools_scm")
ROOT = Path(__file__).parents[1]
SETTINGS = ("pyproject.toml", "setup.cfg", ".gitattributes", ".git_archival.txt", ".gitignore")
IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.org")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *IDENTITY, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def version_of(folder: Path) -> str:
    command = [sys.executable, "-m", "setuptools_scm", "--root", str(folder)]
    command += ["--config", str(folder / "pyproject.toml")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the project's settings and no history."""
    folder = tmp_path / "project"
    (folder / "spinalprep").mkdir(parents=True)
    for name in SETTINGS:
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def clone(project: Path) -> Path:
    """Return a clone with one commit and no tag."""
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "first")
    return project


def commit(clone: Path, text: str) -> str:
    (clone / "file").write_text(text)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", text)
    return git(clone, "rev-parse", "--short=7", "HEAD")


def archived(clone: Path, where: Path) -> Path:
    git(clone, "archive", "--prefix=source/", "--output", str(where / "a.tar"), "HEAD")
    with tarfile.open(where / "a.tar") as file:
        file.extractall(where, filter="data")
    return where / "source"


def test_a_tag_is_the_version(clone: Path, tmp_path: Path) -> None:
    git(clone, "tag", "v9.8.7")
    assert version_of(clone) == "9.8.7"
    assert version_of(archived(clone, tmp_path)) == "9.8.7"


def test_later_commits_are_counted_and_named(clone: Path, tmp_path: Path) -> None:
    git(clone, "tag", "v9.8.7")
    short = commit(clone, "second")
    assert re.fullmatch(rf"9\.8\.7\.post1\.dev1\+g{short}\w*", version_of(clone))
    assert version_of(archived(clone, tmp_path)).startswith(f"9.8.7.post1.dev1+g{short}")


def test_a_clone_without_tags_follows_the_latest_release(clone: Path, tmp_path: Path) -> None:
    short = commit(clone, "second")
    assert re.fullmatch(rf"{RELEASE}\.post1\.dev2\+g{short}\w*", version_of(clone))
    assert version_of(archived(clone, tmp_path)) == RELEASE


def test_a_shallow_clone_says_its_commit(clone: Path, tmp_path: Path) -> None:
    git(clone, "tag", "v9.8.7")
    short = commit(clone, "second")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", clone.as_uri(), str(shallow))
    assert re.fullmatch(rf"{RELEASE}\.post1\.dev1\+g{short}\w*", version_of(shallow))


def test_a_folder_without_git_is_the_latest_release(project: Path) -> None:
    assert version_of(project) == RELEASE
