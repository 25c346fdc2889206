"""What goes with a reference image, and what can't."""

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids.session import ReferenceRun, Scan
from spinalprep.bids.session_files import gather_files, lesion_images
from spinalprep.errors import InputError
from spinalprep.settings import Settings


def scan(home: Path, name: str, contrast: str, good: bool = True, **entities: str) -> Scan:
    found = Scan(home, f"sub-1/anat/{name}_{contrast}.nii.gz", "1", None, contrast, entities)
    found.path.parent.mkdir(parents=True, exist_ok=True)
    if good:
        image = nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4))
        image.to_filename(found.path)
    else:
        found.path.write_bytes(b"no image")
    return found


def settings(home: Path, **options: object) -> Settings:
    return Settings(home, home / "out", "participant", mem_gb=4.0, **options)  # type: ignore[arg-type]


def test_each_contrast_has_a_name_of_its_own_and_bad_ones_a_reason(tmp_path: Path) -> None:
    t2w = scan(tmp_path, "sub-1", "T2w")
    runs = [scan(tmp_path, f"sub-1_run-{n}", "T1w", run=n) for n in "12"]
    echo = scan(tmp_path, "sub-1_echo-1", "T1w", echo="1")
    bad = scan(tmp_path, "sub-1", "T2starw", good=False)
    found = gather_files(ReferenceRun(t2w, (*runs, echo, bad)), settings(tmp_path), {})
    assert found.files.contrasts == {"T1w": runs[0], "T1wrun2": runs[1], "T1wn2": echo}
    assert found.files.scans[""] == t2w
    assert found.files.key == "sub-1"
    assert [(u.kind, u.name) for u in found.unusable] == [("contrast", "T2starw")]
    assert "sub-1_T2starw.nii.gz" in found.unusable[0].reason


def test_nothing_is_registered_that_is_not_wanted(tmp_path: Path) -> None:
    run = ReferenceRun(scan(tmp_path, "sub-1", "T2w"), (scan(tmp_path, "sub-1", "T1w"),))
    found = gather_files(run, settings(tmp_path, skip=("coreg",)), {})
    assert found.files.contrasts == {}


def test_the_map_of_the_image_is_chosen(tmp_path: Path) -> None:
    t2w = scan(tmp_path, "sub-1", "T2w")
    own = scan(tmp_path, "sub-1_desc-FA", "T2w").path
    others = [tmp_path / f"sub-{n}_FA.nii.gz" for n in (2, 3)]
    twice = (own, own.with_name("sub-1_desc-MD_T2w.nii.gz"))
    bad = scan(tmp_path, "sub-1_desc-AD", "T2w", good=False).path
    maps = {"FA": (own, *others), "MD": twice, "AD": (bad,), "RD": (others[0],)}
    found = gather_files(ReferenceRun(t2w), settings(tmp_path), maps)
    assert found.files.maps == {"FA": own}
    assert [(u.kind, u.name) for u in found.unusable] == [("map", "MD"), ("map", "AD")]


def test_mt_images_make_a_pair_unless_a_ratio_is_given(tmp_path: Path) -> None:
    on = scan(tmp_path, "sub-1_mt-on", "MTS", mt="on")
    off = scan(tmp_path, "sub-1_mt-off", "MTS", mt="off")
    run = ReferenceRun(on, (off,))
    assert gather_files(run, settings(tmp_path), {}).files.mt_pair == ("", "MTSmtoff")
    given = settings(tmp_path, metrics={"MTR": "*.nii.gz"})
    assert gather_files(run, given, {}).files.mt_pair is None


def test_a_reference_that_is_no_image_is_refused(tmp_path: Path) -> None:
    bad = scan(tmp_path, "sub-1", "T2w", good=False)
    with pytest.raises(InputError, match="sub-1_T2w"):
        gather_files(ReferenceRun(bad), settings(tmp_path), {})


def test_a_tumor_is_looked_for_in_t2w_and_in_t1w_with_gadolinium(tmp_path: Path) -> None:
    t2w = scan(tmp_path, "sub-1", "T2w")
    plain = scan(tmp_path, "sub-1", "T1w")
    enhanced = scan(tmp_path, "sub-1_ce-gadolinium", "T1w", ce="gadolinium")
    other = scan(tmp_path, "sub-1_ce-mangan", "T1w", ce="mangan")

    def found(reference: Scan, *others: Scan) -> tuple[str | None, str | None]:
        run = ReferenceRun(reference, others)
        return gather_files(run, settings(tmp_path), {}).files.tumor_contrasts

    assert found(t2w, plain, enhanced) == ("", "T1wn1")
    assert found(t2w, enhanced) == ("", "T1w")
    assert found(t2w, plain, other) == ("", None)
    assert found(enhanced) == (None, "")
    assert found(plain, t2w) == ("T2w", None)
    assert found(plain) == (None, None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("T2wsagittal",)),
        ({"lesion_fusion": "reference"}, ()),
        ({"lesion_fusion": "union"}, ("T2wsagittal", "T2starw")),
        ({"skip": ("coreg",)}, ()),
        ({"skip": ("lesion",)}, ()),
    ],
)
def test_lesions_are_looked_for_in_further_t2w_images_unless_others_are_asked_for(
    tmp_path: Path, options: dict[str, Any], expected: tuple[str, ...]
) -> None:
    axial = scan(tmp_path, "sub-1_acq-axial", "T2w", acq="axial")
    sagittal = scan(tmp_path, "sub-1_acq-sagittal", "T2w", acq="sagittal")
    others = scan(tmp_path, "sub-1", "T2starw"), scan(tmp_path, "sub-1", "T1w")
    told = settings(tmp_path, **options)
    files = gather_files(ReferenceRun(axial, (sagittal, *others)), told, {}).files
    assert lesion_images(files, told) == expected
    files = gather_files(ReferenceRun(others[0], (sagittal,)), settings(tmp_path), {}).files
    assert lesion_images(files, settings(tmp_path)) == ()


@pytest.mark.parametrize("how", ["annex", "pipe"])
def test_a_label_without_content_is_refused_before_anything_is_computed(
    tmp_path: Path, how: str
) -> None:
    t2w = scan(tmp_path, "sub-1", "T2w")
    label = tmp_path / "derivatives/labels/sub-1/anat/sub-1_T2w_seg-manual.nii.gz"
    label.parent.mkdir(parents=True)
    if how == "annex":
        label.symlink_to("../../.git/annex/objects/x")
    else:
        os.mkfifo(label)
    what = "is a git-annex link without its content" if how == "annex" else "is not a file"
    with pytest.raises(InputError, match=f"seg-manual.nii.gz {what}"):
        gather_files(ReferenceRun(t2w), settings(tmp_path), {})
    gather_files(ReferenceRun(t2w), settings(tmp_path, manual_labels=False), {})
