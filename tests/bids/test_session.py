"""Which image is the reference, and which go with it."""

from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids.query import find_sessions
from spinalprep.bids.session import Session, coverage, reference_runs
from spinalprep.errors import InputError
from spinalprep.settings import Settings

Dataset = Callable[..., Settings]
SHORT = ((4, 4, 5), (1, 1, 2))
TALL = ((4, 4, 9), (1, 1, 2))
TALL_SAGITTAL = ((4, 4, 30), (3, 1, 1))
FINE = ((8, 8, 10), (0.5, 0.5, 1))


def choose(dataset: Dataset, images: Any, wanted: str = "auto") -> list[tuple[str, list[str]]]:
    (session,) = find_sessions(dataset(images))
    short = [
        (u.reference.stem, [o.stem for o in u.others]) for u in reference_runs(session, wanted)
    ]
    return [
        (name.removeprefix("sub-1_"), [o.removeprefix("sub-1_") for o in others])
        for name, others in short
    ]


@pytest.mark.parametrize(
    ("images", "reference"),
    [
        (["sub-1_T1w", "sub-1_T2w", "sub-1_T2starw", "sub-1_flip-1_mt-on_MTS"], "T2w"),
        (["sub-1_T1w", "sub-1_T2starw"], "T1w"),
        (["sub-1_T2starw", "sub-1_flip-1_mt-on_MTS"], "T2starw"),
        (["sub-1_flip-1_mt-off_MTS", "sub-1_flip-1_mt-on_MTS"], "flip-1_mt-on_MTS"),
        (["sub-1_flip-1_mt-off_MTS"], "flip-1_mt-off_MTS"),
    ],
)
def test_no_contrast_is_demanded(dataset: Dataset, images: list[str], reference: str) -> None:
    ((chosen, others),) = choose(dataset, images)
    assert chosen == reference
    assert sorted(others) == sorted(
        name.removeprefix("sub-1_") for name in images if name != f"sub-1_{reference}"
    )


def test_the_pulse_comes_before_coverage(dataset: Dataset) -> None:
    images = {"sub-1_flip-1_mt-off_MTS": TALL, "sub-1_flip-1_mt-on_MTS": SHORT}
    assert choose(dataset, images) == [("flip-1_mt-on_MTS", ["flip-1_mt-off_MTS"])]


def test_a_contrast_can_be_asked_for(dataset: Dataset) -> None:
    assert choose(dataset, ["sub-1_T1w", "sub-1_T2w"], "T1w") == [("T1w", ["T2w"])]
    with pytest.raises(InputError, match=r"sub-1 has no MTS image \(it has T2w, T1w\)"):
        choose(dataset, ["sub-1_T1w", "sub-1_T2w"], "MTS")


def test_every_run_is_a_unit_and_the_others_go_to_the_first(dataset: Dataset) -> None:
    images = ["sub-1_run-2_T2w", "sub-1_run-10_T2w", "sub-1_run-1_T2w", "sub-1_T1w"]
    expected = [("run-1_T2w", ["T1w"]), ("run-2_T2w", []), ("run-10_T2w", [])]
    assert choose(dataset, images) == expected


@pytest.mark.parametrize(
    ("images", "reference"),
    [
        ({"sub-1_acq-ax_T2w": SHORT, "sub-1_acq-sag_T2w": TALL}, "acq-sag_T2w"),
        ({"sub-1_acq-ax_T2w": TALL, "sub-1_acq-sag_T2w": SHORT}, "acq-ax_T2w"),
        ({"sub-1_acq-a_T2w": TALL_SAGITTAL, "sub-1_acq-b_T2w": TALL}, "acq-a_T2w"),
        ({"sub-1_acq-a_T2w": SHORT, "sub-1_acq-b_T2w": FINE}, "acq-b_T2w"),
        ({"sub-1_acq-b_T2w": SHORT, "sub-1_acq-a_T2w": SHORT}, "acq-a_T2w"),
        ({"sub-1_acq-b_T2w": SHORT, "sub-1_T2w": SHORT}, "T2w"),
    ],
)
def test_of_acquisitions_the_longest_then_the_finest_then_the_first(
    dataset: Dataset, images: Any, reference: str
) -> None:
    ((chosen, others),) = choose(dataset, images)
    assert chosen == reference
    assert len(others) == 1


@pytest.mark.parametrize(("shift", "chosen"), [(18.0, 2), (13.0, 2), (11.0, 1), (0.0, 1)])
def test_what_shows_another_part_of_the_neck_is_measured_too(
    dataset: Dataset, shift: float, chosen: int
) -> None:
    settings = dataset({"sub-1_acq-lower_T2w": TALL, "sub-1_acq-upper_T2w": TALL})
    path = settings.bids_dir / "sub-1" / "anat" / "sub-1_acq-upper_T2w.nii.gz"
    image = nib.loadsave.load(path)
    affine = image.affine.copy()
    affine[2, 3] += shift  # both are 18 mm high
    nib.nifti1.Nifti1Image(np.asarray(image.dataobj), affine).to_filename(path)
    (session,) = find_sessions(settings)
    runs = reference_runs(session)
    assert len(runs) == chosen
    assert sum(1 + len(run.others) for run in runs) == 2


def test_runs_of_another_acquisition_are_registered(dataset: Dataset) -> None:
    images = {
        "sub-1_acq-ax_run-1_T2w": SHORT,
        "sub-1_acq-ax_run-2_T2w": SHORT,
        "sub-1_acq-sag_run-1_T2w": TALL,
        "sub-1_acq-sag_run-2_T2w": TALL,
    }
    assert choose(dataset, images) == [
        ("acq-sag_run-1_T2w", ["acq-ax_run-1_T2w", "acq-ax_run-2_T2w"]),
        ("acq-sag_run-2_T2w", []),
    ]


def test_an_unreadable_image_is_not_preferred(dataset: Dataset) -> None:
    settings = dataset({"sub-1_acq-a_T2w": TALL, "sub-1_acq-b_T2w": SHORT})
    (settings.bids_dir / "sub-1" / "anat" / "sub-1_acq-a_T2w.nii.gz").write_bytes(b"no image")
    (session,) = find_sessions(settings)
    assert reference_runs(session)[0].reference.stem == "sub-1_acq-b_T2w"


def test_coverage_is_measured_upwards(dataset: Dataset) -> None:
    (session,) = find_sessions(dataset({"sub-1_T2w": TALL_SAGITTAL}))
    assert coverage(session.scans[0].path) == pytest.approx((30.0, 3.0))


def test_no_image_is_one_line() -> None:
    with pytest.raises(InputError, match="sub-1_ses-2 has no T1w, T2w, T2starw or MTS image"):
        reference_runs(Session("1", "2", ()))
