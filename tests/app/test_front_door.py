"""The front door and the App give the same numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spinalprep as sp
from spinalprep.image import load, reorient, upright
from spinalprep.tables import read_table

pytestmark = pytest.mark.slow

WHOSE = ["participant_id", "session_id", "run", "contrast"]


def table(folder: Path, ending: str) -> pd.DataFrame:
    (path,) = folder.glob(f"*_{ending}.tsv")
    return read_table(path).drop(columns=WHOSE)


def test_masks_and_tables_are_the_app_s(new_study) -> None:
    study = new_study()
    turned = reorient(sp.example(), "SPR")
    raw = study.add(turned.data, "sub-01/anat/sub-01_T2w.nii.gz", turned.affine)
    done = study.run("--template", "Generic", "--worker", "debug")
    assert done.code == 0, done.log
    image = sp.load(raw)
    found = sp.segment(image)
    levels = sp.label_levels(image, found, template="Generic")
    fit = sp.register(found, levels)
    anat = study.out / "sub-01" / "anat"
    masks = {
        "desc-preproc_T2w": image,
        "space-T2w_label-SC_mask": found.cord,
        "space-T2w_label-SC_probseg": found.probability,
        "space-T2w_label-SC_desc-uncertainty_probseg": found.spread,
        "space-T2w_seg-lesions_dseg": found.lesions,
        "space-T2w_seg-vertebrae_dseg": levels.vertebrae,
        "space-T2w_seg-discs_dseg": levels.discs,
    }
    for name, volume in masks.items():
        assert volume is not None
        assert np.array_equal(upright(volume).data, load(anat / f"sub-01_{name}.nii.gz").data), name
    there = fit.to_template(image)
    assert np.array_equal(
        there.data, load(anat / "sub-01_space-Generic_desc-preproc_T2w.nii.gz").data
    )
    endings = {
        "level": "space-T2w_label-SC_desc-perlevel_morph",
        "slice": "space-T2w_label-SC_desc-perslice_morph",
        "total": "space-T2w_label-SC_desc-total_morph",
        "template_slice": "space-Generic_label-SC_desc-perslice_morph",
    }
    for by, ending in endings.items():
        ours = sp.measure(found, levels, fit, by=by)
        pd.testing.assert_frame_equal(
            ours, table(anat, ending), check_exact=True, check_dtype=False
        )
