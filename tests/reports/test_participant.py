"""The page of a participant, on outputs of a few voxels."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, save
from spinalprep.reports.facts import CoregFacts, LabelFacts, ReportFacts, SessionRunFacts
from spinalprep.reports.participant import _metrics, write_participant_report
from spinalprep.reports.run_outputs import RunOutputs

LABELS = Path("derivatives/labels/sub-01/anat")  # in the dataset


def page(out: Path, *drawn: str, source: str = "unknown", template: str = "PAM50") -> str:
    labels = tuple(LabelFacts(f"/drawn/{kind}.nii.gz", kind, used=True) for kind in drawn)
    reference = "sub-01/anat/sub-01_T2w.nii.gz"
    moved = CoregFacts("T1w", True, 0.1, "sub-01/anat/sub-01_T1w.nii.gz", "T1w")
    run = SessionRunFacts(reference, (moved,), labels=labels, level_source=source)
    facts = ReportFacts((run,), "spinalprep", "1.0", Path("bids"), template_name=template)
    text = write_participant_report(out, "01", facts).read_text()
    return re.sub(r"data:image/png;base64,[^\"]+", "", text)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Write a cord of 8 slices, the template's half a voxel beside it, and levels."""
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    data = np.zeros((20, 20, 8), np.float32)
    data[7:13, 8:12] = 1
    line, shifted = np.zeros_like(data), np.roll(data, 1, axis=0)
    line[10, 10] = 1
    shifted[:, :, :4] = data[:, :, :4]
    for name, values in (
        ("desc-preproc_T2w", data + 1),
        ("space-T2w_label-SC_mask", data),
        ("space-T2w_label-centerline_mask", line),
        ("space-T2w_label-SC_desc-template_mask", shifted),
    ):
        save(Image(values, affine), anat / f"sub-01_{name}.nii.gz")
    table = pd.DataFrame({"slice": range(8), "z_mm": np.arange(8) * 2.0, "complete": True})
    table = table.assign(length_mm=2.0, doubtful=False)
    table = table.assign(vertebral_level=["C4"] * 4 + ["C3"] * 4, area_mm2=24.0)
    table = table.assign(diameter_ap_mm=4.0, diameter_rl_mm=6.0)
    table.to_csv(anat / "sub-01_space-T2w_label-SC_desc-perslice_morph.tsv", sep="\t", index=False)
    return tmp_path


@pytest.mark.slow
def test_a_corrected_mask_is_saved_where_the_next_run_reads_it(out: Path) -> None:
    fresh = str(LABELS / "sub-01_T2w_label-SC_seg.nii.gz")
    assert f"<pre>{fresh}</pre>" in page(out)
    drawn = page(out, "cord")  # a second one beside it would be ignored
    assert "<pre>/drawn/cord.nii.gz</pre>" in drawn
    assert fresh not in drawn


def test_dice_of_every_level(out: Path) -> None:
    # C3: 6 of 6 columns against 6, one beside it: 2 x 5 / 12
    assert "Dice per level: C3 0.83, C4 1.00" in page(out, source="manual")


@pytest.mark.slow
def test_unknown_levels_are_said_wherever_they_matter(out: Path) -> None:
    unknown, known = page(out), page(out, source="manual")
    assert "position along the template is arbitrary" in unknown
    assert str(LABELS / "sub-01_T2w_label-discs_dlabel.nii.gz") in unknown
    assert "arbitrary" not in known


@pytest.mark.slow
def test_doubtful_slices_are_told_and_hatched(out: Path) -> None:
    assert "doubtful</b>" not in page(out)
    path = out / "sub-01" / "anat" / "sub-01_space-T2w_label-SC_desc-perslice_morph.tsv"
    table = pd.read_csv(path, sep="\t")
    table.assign(doubtful=["true"] * 2 + ["false"] * 6).to_csv(path, sep="\t", index=False)
    text = page(out)
    assert "doubtful</b> in 2 slices" in text
    assert "Dashed frame" in text


def test_without_a_cord_the_page_says_what_to_draw(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert str(LABELS / "sub-01_T2w_centerline-manual.nii.gz") in text
    assert "Areas were measured" not in text


@pytest.mark.slow
def test_a_contrast_is_shown_as_it_was_brought_here_and_no_other(out: Path) -> None:
    anat, shown = out / "sub-01" / "anat", "T1w on T2w</h3>"
    image = anat / "sub-01_desc-preproc_T2w.nii.gz"
    shutil.copy(image, anat / "sub-01_acq-other_space-T2w_desc-preproc_T1w.nii.gz")
    assert shown not in page(out)
    shutil.copy(image, anat / "sub-01_space-T2w_desc-preproc_T1w.nii.gz")
    assert shown in page(out)


def test_maps_that_were_measured_are_those_of_this_image(out: Path) -> None:
    anat = out / "sub-01" / "anat"
    row = {"vertebral_level": "all", "kind": "cord", "region": "cord", "side": "both"}
    row |= {"lesion": "all", "metric_map": 0.5, "metric_map_sd": 0.1, "volume_mm3": 9.0}
    for name in ("sub-01_space-T2w_desc-FA_metric", "sub-01_run-2_space-T2w_desc-MD_metric"):
        table = pd.DataFrame([row | {"metric": name.split("desc-")[1][:2]}])
        table.to_csv(anat / f"{name}.tsv", sep="\t", index=False)
    found = _metrics(RunOutputs(out, SessionRunFacts("sub-01/anat/sub-01_T2w.nii.gz")))
    assert [metric["name"] for metric in found] == ["FA"]
