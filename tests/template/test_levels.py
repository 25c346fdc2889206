"""The template's discs, and its levels between them."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import TemplateError
from spinalprep.levels.discs import Levels
from spinalprep.template.files import Template, read_template
from spinalprep.template.levels import disc_heights, disc_points

SHARED = Path(os.environ.get("SPINALPREP_SHARED", Path(__file__).parents[3] / "shared"))
AFFINE = np.array([[-0.5, 0, 0, 5], [0, 0.5, 0, -5], [0, 0, 0.5, -20], [0, 0, 0, 1]])


def template_with(folder: Path, discs: dict[tuple[int, int, int], int]) -> Template:
    for name in ("cord", "levels", "label_disc"):
        data = np.zeros((21, 21, 80), np.uint8)
        for ijk, value in discs.items():
            data[ijk] = value
        path = folder / "template" / f"PAM50_{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        nib.nifti1.Nifti1Image(data, AFFINE).to_filename(path)
    return read_template(folder)


def test_heights_and_points(tmp_path: Path) -> None:
    discs = {(10, 10, 70): 2, (10, 11, 50): 3, (10, 10, 10): 4, (10, 10, 79): 50, (10, 10, 1): 60}
    template = template_with(tmp_path, discs)
    assert disc_heights(template) == {2: 15.0, 3: 5.0, 4: -15.0}
    assert disc_points(template)[3].tolist() == [0.0, 0.5, 5.0]


@pytest.mark.parametrize("discs", [{(5, 5, 5): 3}, {(5, 5, 5): 3, (5, 5, 9): 4}])
def test_disorder_is_refused(discs: dict[tuple[int, int, int], int], tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="out of order"):
        disc_heights(template_with(tmp_path, discs))


@pytest.mark.data
def test_discs_agree_with_the_levels_of_pam50() -> None:
    folder = SHARED / "data" / "PAM50"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    template = read_template(folder)
    heights = disc_heights(template)
    assert sorted(heights) == list(range(1, 22))
    volume = nib.loadsave.load(template.levels)
    drawn = np.asanyarray(volume.dataobj).max(axis=(0, 1)).astype(int)
    z = volume.affine[2, 2] * np.arange(len(drawn)) + volume.affine[2, 3]
    levels = Levels({disc: -height for disc, height in heights.items()})
    labelled = drawn > 0
    assert labelled.sum() > 900
    np.testing.assert_array_equal(levels.number_at(-z[labelled]), drawn[labelled])
