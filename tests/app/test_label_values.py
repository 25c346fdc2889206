"""A label of several classes through the whole command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from spinalprep.image import load

pytestmark = pytest.mark.slow
QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template")


def test_the_class_that_is_named_is_the_cord(new_study, body) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    canal = ndimage.binary_dilation(body.cord, np.ones((3, 3, 1)), iterations=2)
    label = "derivatives/labels/sub-01/anat/sub-01_T2w_seg-manual.nii.gz"
    study.add(np.where(body.cord > 0, 3, canal).astype(np.uint8), label)
    mask = study.out / "sub-01" / "anat" / "sub-01_space-T2w_label-SC_mask.nii.gz"

    assert study.run(*QUICK).code == 1
    status = pd.read_csv(study.out / "status.tsv", sep="\t")
    assert status["reason"][0].startswith("input: ")
    assert "has several classes (1, 3)" in status["reason"][0]
    assert "--label-values cord=VALUE" in status["reason"][0]
    assert not Path(mask).exists()

    assert study.run(*QUICK, "--label-values", "cord=3").code == 0
    drawn = load(mask).data > 0
    assert drawn.sum() == body.cord.sum()
    assert (drawn == (body.cord > 0)).all()
