"""Ctrl-C and SIGTERM in the middle of a run: what is said, what is kept, and how it goes on."""

import os
import signal

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template", "--nprocs", "1")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_has_its_code_and_resumes(new_study, body, number, code) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    study.add(body.image, "sub-02/anat/sub-02_T2w.nii.gz")
    process = study.start(*QUICK)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "FindHeat" in line:  # the first of two people has come this far
            os.killpg(process.pid, number)
            break
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == code, "".join([*said, rest])
    assert "the same command resumes" in rest
    rows = pd.read_csv(study.out / "status.tsv", sep="\t").set_index("participant_id")
    assert "interrupted" in set(rows["state"])
    assert "finished" not in set(rows["state"])
    assert rows["reason"].str.startswith("cancelled: ").all()
    done = study.run(*QUICK)
    assert done.code == 0, done.log
    assert "Conform" not in done.log.split("sub-02")[0]  # what was finished is not done again
    rows = pd.read_csv(study.out / "status.tsv", sep="\t").set_index("participant_id")
    assert rows["state"].to_dict() == {"sub-01": "finished", "sub-02": "finished"}
    assert rows.loc["sub-01", "cache_hits"] >= 2
