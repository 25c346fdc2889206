"""Small datasets, and the command as a person types it."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.app.main import main

SHAPE = (40, 40, 48)
AFFINE = np.array([[-1.0, 0, 0, 19.5], [0, 1, 0, -15.5], [0, 0, 1, -23.5], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    log: str


@dataclass(frozen=True)
class Study:
    """A dataset in ``raw``, with a command for it whose results go to ``out``."""

    home: Path
    affine: np.ndarray = field(default_factory=AFFINE.copy)

    @property
    def raw(self) -> Path:
        return self.home / "raw"

    @property
    def out(self) -> Path:
        return self.home / "out"

    def words(self, *flags: str, out: str = "out") -> list[str]:
        """Return the words of a participant-level command."""
        folders = [str(self.raw), str(self.home / out), "participant", "-w"]
        return [*folders, str(self.home / "work"), *flags]

    def run(self, *flags: str, out: str = "out") -> Done:
        """Carry a command out in this process."""
        said, log, kept = io.StringIO(), io.StringIO(), dict(os.environ)
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(log):
                code = main(self.words(*flags, out=out))
        finally:
            os.environ.clear()
            os.environ.update(kept)
        return Done(code, said.getvalue(), log.getvalue())

    def start(self, *flags: str) -> "subprocess.Popen[str]":
        """Start a command in a process (group) of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "spinalprep", *self.words(*flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def add(self, data: np.ndarray, name: str, affine: np.ndarray | None = None) -> Path:
        """Write an image under its path in the dataset."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(data, self.affine if affine is None else affine).to_filename(path)
        return path


@pytest.fixture(scope="session")
def new_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Study]:
    """Make an empty dataset."""

    def make() -> Study:
        study = Study(tmp_path_factory.mktemp("study"))
        study.raw.mkdir()
        (study.raw / "dataset_description.json").write_text(
            json.dumps({"Name": "small", "BIDSVersion": "1.10.0"})
        )
        return study

    return make


@pytest.fixture
def noise(new_study: Callable[[], Study]) -> Study:
    """Return a study of one image of noise, for what computes nothing."""
    study = new_study()
    data = np.random.default_rng(0).integers(1, 200, SHAPE).astype(np.int16)
    study.add(data, "sub-01/anat/sub-01_T2w.nii.gz")
    return study


@dataclass(frozen=True)
class Body:
    """A T2w image of a synthetic subject's neck, its cord and its discs, on one small grid."""

    image: np.ndarray
    cord: np.ndarray
    discs: np.ndarray


@pytest.fixture(scope="session")
def body() -> Body:
    """Draw a synthetic subject on a small grid."""
    from spinalprep.image import Image, to_voxel
    from spinalprep.phantom.anatomy import make_person, truth_cord
    from spinalprep.phantom.images import render

    person = make_person(100_000)
    image = render(person, "T2w", (SHAPE, AFFINE), 1)
    cord = truth_cord(person, Image(np.zeros(SHAPE, np.float32), AFFINE)) >= 0.5
    discs = np.zeros(SHAPE, np.uint8)
    for disc, s in person.disc_s.items():
        ijk = np.rint(to_voxel(person.centerline.at(s), AFFINE)).astype(int)
        if np.all((ijk >= 0) & (ijk < SHAPE)):
            discs[tuple(ijk)] = disc
    return Body(image.data.astype(np.int16), cord.astype(np.uint8), discs)
