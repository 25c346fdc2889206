"""With ``--reproducible``, numbers do not depend on processes, threads and caches."""

import shutil
from pathlib import Path

import pytest

from spinalprep.app.main import main
from spinalprep.tools.main import main as tools

QUICK = ("--sloppy", "--skip", "lesion", "--template", "Generic", "--reproducible")


@pytest.mark.long
@pytest.mark.slow
def test_two_runs_are_the_same(new_study, body, capsys, tmp_path: Path) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    study.add(body.image, "sub-01/anat/sub-01_T1w.nii.gz")  # ANTs registers it
    labels = "derivatives/labels/sub-01/anat/sub-01_T2w_labels-disc-manual.nii.gz"
    study.add(body.discs, labels)
    assert study.run(*QUICK, "--nprocs", "1").code == 0
    shutil.copytree(study.raw, tmp_path / "copy")
    words = [str(tmp_path / "copy"), str(tmp_path / "out"), "participant"]
    assert main([*words, "-w", str(tmp_path / "work"), *QUICK, "--nprocs", "2"]) == 0
    assert tools(["verify", str(study.out), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.endswith(" files are in both folders, and the same\n")
    assert len(list(study.out.glob("sub-01/anat/*.nii.gz"))) > 10
