"""The command on two real participants, where the shared data are."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main

SHARED = Path(os.environ.get("SPINALPREP_SHARED", Path(__file__).parents[2] / "shared"))
DATASET = SHARED / "data" / "bids-dev"

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATASET.is_dir(), reason="SPINALPREP_SHARED is not here"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("real")
    words = [str(DATASET), str(home / "out"), "participant", "-w", str(home / "work")]
    words += ["--participant-label", "t2", "unf01", "--nprocs", "2"]
    assert main([*words, "--template", str(SHARED / "data" / "PAM50")]) == 0
    return home / "out"


def test_both_finish(out: Path) -> None:
    rows = pd.read_csv(out / "status.tsv", sep="\t")
    assert rows["state"].tolist() == ["finished", "finished"]


@pytest.mark.parametrize(("label", "least"), [("sub-t2", 0.96), ("sub-unf01", 0.87)])
def test_the_networks_see_what_people_drew(out: Path, label: str, least: float) -> None:
    """Both were trained on: this guards the chain, it measures no accuracy.

    The mask of unf01 lies 0.3 mm inside the edge that the image shows (benchmarks/edges.py).
    """
    stem = out / label / "anat" / f"{label}_space-T2w_label-SC_"
    manual = np.asarray(nib.load(f"{stem}mask.nii.gz").dataobj) > 0
    auto = np.asarray(nib.load(f"{stem}desc-auto_mask.nii.gz").dataobj) > 0
    rows = manual.any(axis=(0, 1))
    manual, auto = manual[:, :, rows], auto[:, :, rows]
    assert 2 * (manual & auto).sum() / (manual.sum() + auto.sum()) > least


@pytest.mark.parametrize("label", ["sub-t2", "sub-unf01"])
def test_the_template_fits(out: Path, label: str) -> None:
    gates = pd.read_csv(out / label / "anat" / f"{label}_desc-auto_qc.tsv", sep="\t")
    value = gates.set_index("metric")["value"]
    assert value["dice_template"] > 0.93
    assert value["jacobian_min"] > 0
