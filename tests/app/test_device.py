"""The device through the whole command: said in sidecars, and no part of the cache on a CPU."""

import json

import pytest

from spinalprep.device import find_device

pytestmark = pytest.mark.slow
QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template")


@pytest.mark.skipif(bool(find_device("auto").name), reason="auto is no CPU where there is a GPU")
def test_the_flag_changes_nothing_on_a_cpu(new_study, body) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    first = study.run(*QUICK)
    assert first.code == 0, first.log
    anat = study.out / "sub-01" / "anat"
    sidecar = anat / "sub-01_space-T2w_label-SC_mask.json"
    assert json.loads(sidecar.read_text())["Device"] == "cpu"
    assert "Device" not in json.loads((anat / "sub-01_desc-preproc_T2w.json").read_text())
    before = {path: path.stat().st_mtime_ns for path in anat.iterdir()}
    again = study.run(*QUICK, "--device", "cpu")
    assert again.code == 0, again.log
    assert "unchanged" in again.log
    assert {path: path.stat().st_mtime_ns for path in anat.iterdir()} == before
