"""Folders and labels that are not where they should be, through the command."""

import shutil

import pytest

pytestmark = pytest.mark.slow


def test_a_folder_in_the_place_of_an_output_is_no_defect(noise) -> None:
    (noise.out / "dseg.tsv").mkdir(parents=True)
    done = noise.run("--boilerplate-only", "--template", "Generic")
    assert done.code == 2
    assert f"{noise.out / 'dseg.tsv'}: Is a directory" in done.log


def test_labels_that_fit_nothing_and_a_file_in_place_of_their_folder_are_told(noise) -> None:
    labels = noise.raw / "derivatives" / "labels"
    image = noise.raw / "sub-01" / "anat" / "sub-01_T2w.nii.gz"
    odd = labels / "sub-01" / "anat" / "sub-01_T1w_seg-manual.nii.gz"
    odd.parent.mkdir(parents=True)
    odd.write_bytes(image.read_bytes())
    flags = ("--dry-run", "--template", "Generic")
    assert f"labels that are not used: {odd.relative_to(labels)}" in noise.run(*flags).log
    shutil.rmtree(labels)
    labels.write_text("x")
    done = noise.run(*flags)
    assert (done.code, "is not a folder; no manual labels are read" in done.log) == (0, True)
