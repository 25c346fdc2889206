"""The section on tumors: it warns, says what was seen, and draws what was found."""

from dataclasses import replace

import numpy as np
import pandas as pd

from spinalprep.image import Image
from spinalprep.reports.facts import CoregFacts, SessionRunFacts
from spinalprep.reports.tumor import COLOURS, WARNING, three_planes, tumor_notes, tumor_rows

T2W, GD = "sub-1/anat/sub-1_T2w.nii.gz", "sub-1/anat/sub-1_ce-gadolinium_T1w.nii.gz"


def _run(
    t2w: str | None, gd: str | None, accepted: bool = True, sought: bool = True
) -> SessionRunFacts:
    moved = CoregFacts("T1w", accepted, 0.1, GD, "T1w")
    return SessionRunFacts(T2W, (moved,), tumor_sought=sought, tumor_t2w=t2w, tumor_gd_t1w=gd)


def test_notes_say_which_contrast_is_missing_or_misplaced() -> None:
    assert tumor_notes(_run(T2W, GD)) == []
    assert tumor_notes(_run(None, None, sought=False)) == []
    assert "no Gd-T1w" in tumor_notes(_run(T2W, None))[0]
    assert "no T2w" in tumor_notes(_run(None, GD))[0]
    assert "nothing was looked for" in tumor_notes(_run(None, None))[0]
    lost = replace(_run(T2W, GD, accepted=False), tumor_lost=("Gd-T1w",))
    (note,) = tumor_notes(lost)
    assert "Gd-T1w image was not used" in note
    assert "could not be registered" in tumor_notes(_run(T2W, GD, accepted=False))[0]


def test_the_warning_says_what_the_networks_are() -> None:
    for words in ("Research use only", "synthetic tumors", "never tried on a patient"):
        assert words in WARNING


def test_rows_are_those_that_were_found() -> None:
    table = pd.DataFrame(
        {"structure": ["tumor", "edema"], "volume_mm3": [812.4, 0.0], "length_mm": [31.0, np.nan]}
    )
    rows = tumor_rows(table)
    assert [row["structure"] for row in rows] == ["tumor"]
    assert rows[0]["volume (mm3)"] == "812"
    assert tumor_rows(None) == []


def test_planes_are_drawn_where_something_was_found() -> None:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [20.0, -20.0, -40.0]
    image = Image(np.random.default_rng(0).random((40, 40, 80), np.float32), affine)
    nothing = image.with_data(np.zeros((40, 40, 80), np.float32))
    block = nothing.data.copy()
    block[15:25, 15:25, 30:50] = 1
    masks = dict.fromkeys(COLOURS, nothing)
    assert three_planes({"T2w": image}, masks, nothing) is None
    one = three_planes({"T2w": image}, masks, image.with_data(block))
    drawn = three_planes(
        {"T2w": image}, {**masks, "tumor": image.with_data(block)}, image.with_data(block)
    )
    two = three_planes({"T2w": image, "Gd-T1w": image}, masks, image.with_data(block))
    assert one.startswith("data:image/png")
    assert drawn != one  # an outline more
    assert len(two) > 1.5 * len(one)
