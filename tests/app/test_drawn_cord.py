"""A cord that a person drew in an image in which the networks find none."""

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
QUICK = ("--sloppy", "--nprocs", "1", "--template", "Generic", "--skip", "n4,lesion,template")


def test_it_is_measured_where_grey_matter_would_have_been_found_too(new_study, body) -> None:
    study = new_study()
    nothing = np.random.default_rng(0).integers(1, 200, body.cord.shape).astype(np.int16)
    study.add(nothing, "sub-01/anat/sub-01_T2starw.nii.gz")
    study.add(body.cord, "derivatives/labels/sub-01/anat/sub-01_T2starw_seg-manual.nii.gz")
    done = study.run(*QUICK)
    assert "automatic: no cord found" in done.log
    assert "only the manual cord mask is used" in done.log
    assert done.code == 0
    assert "sub-01: finished in" in done.log
    assert "failed in" not in done.log
    table = study.out / "sub-01/anat/sub-01_space-T2starw_label-SC_desc-perslice_morph.tsv"
    slices = pd.read_csv(table, sep="\t")
    assert slices["area_mm2"].between(20, 200).sum() > 30
