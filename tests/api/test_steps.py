"""The steps on a synthetic subject: any orientation, labels, and what is refused."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import spinalprep as sp
from spinalprep.image import reorient, upright
from spinalprep.normative.calibration import calibrate_norms, load_calibration
from spinalprep.normative.table import load_norms
from spinalprep.phantom.anatomy import make_person, truth_cord


def test_the_cord_is_the_person_s(image: sp.Scan, found: sp.Segmentation) -> None:
    truth = truth_cord(make_person(7, 1), image) >= 0.5
    mask = found.cord.data > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.93
    assert found.grey_matter is None  # T2w does not show it
    assert found.lesions is not None
    assert found.lesions.data[mask].max() >= 1


def test_results_lie_on_the_grid_that_was_given(
    image: sp.Scan, found: sp.Segmentation, levels: sp.VertebralLevels
) -> None:
    turned = reorient(image, "PSR")
    scan = sp.load(nib.Nifti1Image(turned.data, turned.affine), bias_correction=False)
    assert scan.axes == "PSR"
    assert np.array_equal(scan.data, turned.data)
    other = sp.segment(scan, views=1)
    assert other.cord.same_grid(scan)
    assert np.array_equal(upright(other.cord).data, found.cord.data)
    assert np.array_equal(other.centerline.points, found.centerline.points)
    same = sp.label_levels(scan, other, template="Generic")
    assert same.vertebrae is not None
    assert levels.vertebrae is not None
    assert np.array_equal(upright(same.vertebrae).data, levels.vertebrae.data)
    assert sp.measure(other, same).equals(sp.measure(found, levels))
    flat, straight = (
        sp.straighten(i, found.centerline, spacing_mm=2.0, half_width_mm=16.0)
        for i in (scan, image)
    )
    assert np.array_equal(flat.data, straight.data)


def test_levels_are_the_person_s(found: sp.Segmentation, levels: sp.VertebralLevels) -> None:
    person = make_person(7, 1)
    assert levels.known
    assert levels.source == "detected"
    for disc, s in levels.levels.disc_s.items():
        if disc not in levels.levels.placed:
            apart = found.centerline.at(s) - person.centerline.at(person.disc_s[disc])
            assert abs(apart[2]) < 3.0
    table = sp.measure(found, levels)
    assert list(table["vertebral_level"]) == levels.names
    middle = person.area_at((person.disc_s[5] + person.disc_s[6]) / 2)
    of_c5 = table.set_index("vertebral_level")["area_mm2"]["C5"]
    assert of_c5 == pytest.approx(float(middle), rel=0.08)


def test_levels_that_are_not_shown_stay_unknown(image: sp.Scan) -> None:
    low = sp.load(sp.Volume(image.data[:, :, :16], image.affine), bias_correction=False)
    found = sp.segment(low, views=1, lesions=False)
    levels = sp.label_levels(low, found, template="Generic")
    assert (levels.known, levels.vertebrae, levels.names) == (False, None, [])
    assert len(sp.measure(found, levels)) == 0
    slices = sp.measure(found, levels, by="slice")
    assert slices["vertebral_level"].isna().all()
    assert len(slices) == np.any(found.cord.data, axis=(0, 1)).sum()
    z = float(low.affine[2, 3]) + 10.0
    hinted = sp.label_levels(low, found, hint=f"T1@z={z}", template="Generic")
    assert hinted.known
    assert "T1" in hinted.names


@pytest.mark.slow
def test_levels_come_from_another_image_of_the_session(
    image: sp.Scan, levels: sp.VertebralLevels
) -> None:
    below = slice(0, 20)
    low = sp.load(sp.Volume(image.data[:, :, below], image.affine), bias_correction=False)
    found = sp.segment(low, views=1, lesions=False)
    carried = sp.label_levels(low, found, others={"T1w": low, "T2w": image}, template="Generic")
    assert carried.source == "detected in T2w"
    assert carried.vertebrae is not None
    assert levels.vertebrae is not None
    ours, theirs = carried.vertebrae.data, levels.vertebrae.data[:, :, below]
    both = (ours > 0) & (theirs > 0)
    assert both.sum() > 100
    assert (ours == theirs)[both].mean() > 0.9
    z = float(low.affine[2, 3]) + 10.0
    hinted = sp.label_levels(low, found, hint=f"T1@z={z}", others={"T2w": image})
    assert hinted.source.startswith("hint")  # what a person says comes first


def test_what_a_person_drew_wins(
    image: sp.Scan, found: sp.Segmentation, levels: sp.VertebralLevels, tmp_path: Path
) -> None:
    narrow = found.cord.with_data((found.probability.data > 0.9).astype(np.uint8))
    path = sp.Volume(narrow.data, narrow.affine).save(tmp_path / "drawn.nii.gz")
    drawn = sp.segment(image, views=1, drawn={"cord": path})
    assert np.array_equal(drawn.cord.data, narrow.data)
    assert drawn.spread is None
    by_hand, by_network = (sp.measure(f, by="total")["area_mm2"][0] for f in (drawn, found))
    assert by_hand < by_network
    assert levels.discs is not None
    given = sp.label_levels(image, found, discs=levels.discs, template="Generic")
    assert given.source == "manual"
    assert given.vertebrae is not None
    assert levels.vertebrae is not None
    assert (given.vertebrae.data == levels.vertebrae.data).mean() > 0.99


def test_what_can_t_be_done_is_one_line(
    image: sp.Scan, found: sp.Segmentation, levels: sp.VertebralLevels, tmp_path: Path
) -> None:
    with pytest.raises(sp.InputError, match=r"nothing\.nii does not exist"):
        sp.load(tmp_path / "nothing.nii")
    with pytest.raises(sp.UsageError, match="ndarray is not an image"):
        sp.load(image.data)  # type: ignore[arg-type]
    with pytest.raises(sp.UsageError, match="no network for 'brain'"):
        sp.segment(image, models={"brain": "cord"})
    with pytest.raises(sp.UsageError, match="drawn: unknown structure 'skull'"):
        sp.segment(image, drawn={"skull": image})  # type: ignore[dict-item]
    with pytest.raises(sp.UsageError, match="both discs and a hint"):
        sp.label_levels(image, found, discs=image, hint="C3@z=0")
    with pytest.raises(sp.InputError, match="a different grid"):
        sp.label_levels(image, found, discs=sp.Volume(image.data[1:], image.affine))
    with pytest.raises(sp.UsageError, match="needs known levels and a registration"):
        sp.measure(found, levels, by="template_slice")
    with pytest.raises(sp.UsageError, match="expected level, slice, total"):
        sp.measure(found, levels, by="voxel")  # type: ignore[arg-type]
    with pytest.raises(sp.TemplateError):
        sp.register(found, template=tmp_path)


def test_what_a_notebook_shows_is_escaped_and_has_a_picture(
    image: sp.Scan, found: sp.Segmentation, levels: sp.VertebralLevels
) -> None:
    odd = replace(image, name="<script>alert(1)</script>", warnings=("a < b",))
    told = replace(found, image=odd, warnings=('"quoted" <b>',))
    for shown in (odd, told, replace(levels, found=told), found.cord):
        page = shown._repr_html_()
        assert "<script>" not in page
        assert "<b>quoted" not in page
        assert page.count("data:image/png;base64,") in (2, 4)  # along the cord, or whole slices
    assert "&lt;script&gt;" in odd._repr_html_()
    assert "1 lesion" in repr(found)


def test_there_are_no_scores_in_masks_that_are_not_calibrated(
    found: sp.Segmentation, levels: sp.VertebralLevels, caplog: pytest.LogCaptureFixture
) -> None:
    table = sp.measure(found, levels, age=30.0, sex="F")
    assert (table["area_mm2"] > 0).all()
    assert table["area_z"].isna().all()
    assert "no z-scores: voxels of 1 x 1 x 3 mm are not calibrated" in caplog.text
    caplog.clear()
    assert sp.measure(found, levels)["area_z"].isna().all()
    assert "z-scores" not in caplog.text


def test_scores_are_those_of_the_calibrated_table(
    found: sp.Segmentation, levels: sp.VertebralLevels, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_calibration()
    network = {**shipped.network, "sha256": found.cards["cord"]["sha256"]}
    network["temperature"] = found.cards["cord"].get("temperature", 1.0)
    mine = replace(shipped, network=network, voxel_mm=(0.5, 5.0))
    monkeypatch.setattr("spinalprep.api.measure.load_calibration", lambda: mine)
    some = replace(found, spread=found.probability)  # as if several views had been averaged
    table = sp.measure(some, levels, age=30.0, sex="F").set_index("vertebral_level")
    norm = calibrate_norms(load_norms(), mine).of_levels("area_mm2", "F").loc[4]
    z = (np.log(table.loc["C4", "area_mm2"]) - np.log(norm["mean"])) / norm["sd"]
    assert table.loc["C4", "area_z"] == pytest.approx(z, abs=0.15)
