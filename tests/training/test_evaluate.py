"""The table of an evaluation: pairs, people, what must not count."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.errors import NoInputError, UsageError
from spinalprep.image import Image, save
from spinalprep.networks.cards import packaged_names, packaged_weights, read_card
from spinalprep.tools.main import main
from spinalprep.training.evaluation.evaluate import evaluate, judge
from spinalprep.training.evaluation.predictions import Predictions, from_folder, from_networks
from spinalprep.training.evaluation.trained_on import TrainedOn
from spinalprep.training.material.cases import find_cases, read_persons

SHAPE = (40, 40, 6)
AFFINE = np.diag([-0.5, 0.5, 4.0, 1.0])
CORD = (slice(14, 26), slice(14, 26))
SHA = "a" * 64


def volume(*boxes: tuple[slice, ...]) -> np.ndarray:
    data = np.zeros(SHAPE, np.float32)
    for box in boxes:
        data[box] = 1
    return data


def write(path: Path, data: np.ndarray, facts: dict[str, object] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(Image(data, AFFINE), path, dtype=np.float32)
    if facts is not None:
        side = path.with_name(path.name.replace(".nii.gz", ".json"))
        side.write_text(json.dumps(facts))


def write_person(root: Path, label: str, found: np.ndarray, *, manual: bool = False) -> None:
    raw = root / f"sub-{label}" / "anat" / f"sub-{label}_T2w.nii.gz"
    noise = np.random.default_rng(3).normal(100, 5, SHAPE).astype(np.float32)
    write(raw, noise + 50 * volume(CORD))
    labels = root / "derivatives" / "labels" / f"sub-{label}" / "anat"
    write(labels / f"sub-{label}_T2w_seg-manual.nii.gz", volume((*CORD, slice(0, 4))))
    out = root / "out" / f"sub-{label}" / "anat"
    facts = {"Manual": manual, "Model": {"name": "cord", "sha256": SHA}}
    write(out / f"sub-{label}_space-T2w_label-SC_mask.nii.gz", found, facts)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    half = (slice(14, 26), slice(14, 20))
    write_person(tmp_path, "a1", volume(CORD))
    write_person(tmp_path, "a2", volume(half))
    write_person(tmp_path, "b", volume(half))
    write_person(tmp_path, "c", volume(CORD), manual=True)
    return tmp_path


DEVELOPMENT = "spinal cord MRI, development set"


@pytest.mark.parametrize(
    ("dataset", "label", "told"),
    [
        (DEVELOPMENT, "10062Ses2", "yes"),  # a visit of somebody who was trained on
        ("", "10062Ses2", "yes"),  # who knows whose data these are
        (DEVELOPMENT, "10063", "no"),
        ("a stranger's", "10062Ses2", "no"),
        ("a stranger's", "10062", "no"),
    ],
)
def test_people_who_were_trained_on_are_told(
    dataset: str, label: str, told: str, tmp_path: Path
) -> None:
    write_person(tmp_path, label, volume(CORD))
    card = {"sha256": SHA, "data": {"people": ["10062"], "datasets": [DEVELOPMENT]}}
    out, known = tmp_path / "judged", TrainedOn([card], dataset)
    evaluate(find_cases(tmp_path), lambda image: from_folder(tmp_path / "out", image), out, known)
    table = pd.read_csv(out / "evaluation.tsv", sep="\t", keep_default_na=False)
    assert table["trained_on"].tolist() == [told]


def test_the_packaged_cards_say_whose_people_they_name() -> None:
    for name in packaged_names():
        data = read_card(packaged_weights(name))["data"]
        assert DEVELOPMENT in data["datasets"]
        assert set(data["datasets"]) <= {DEVELOPMENT, "full necks"}
        assert not {"PAM50", "phantom"} & set(data["people"])


def test_a_person_counts_once_and_a_label_never_agrees_with_itself(dataset: Path) -> None:
    persons = read_persons(dataset, None, ["a1=a", "sub-a2=sub-a"])
    cases = find_cases(dataset, persons=persons)
    assert [case.person for case in cases] == ["a", "a", "b", "c"]
    known = TrainedOn([{"sha256": SHA, "data": {"people": ["a2"]}}])
    out = dataset / "judged"
    summary = evaluate(cases, lambda image: from_folder(dataset / "out", image), out, known)
    table = pd.read_csv(out / "evaluation.tsv", sep="\t", keep_default_na=False)
    assert table["answered"].tolist() == ["yes", "yes", "yes", "no"]
    assert table["trained_on"].tolist() == ["no", "yes", "no", "n/a"]
    assert set(table) == set(json.loads((out / "evaluation.json").read_text()))
    dice = summary[summary["measure"] == "dice"].iloc[0]
    # a: mean of 1 and 2/3; b: 2/3
    assert (dice["people"], dice["trained_on"], dice["images"]) == (2, 1, 3)
    assert dice["mean"] == pytest.approx((5 / 6 + 2 / 3) / 2)
    assert dice["worst"] == pytest.approx(2 / 3)
    assert np.isnan(dice["lower"])
    beyond = table["beyond_mm3"].astype(str).tolist()
    assert float(beyond[0]) == 12 * 12 * 2  # two unlabelled slices of 144 voxels of 1 mm3
    assert (out / "evaluation_cord.png").read_bytes().startswith(b"\x89PNG")


def test_an_automatic_neighbour_is_taken_before_a_drawn_mask(dataset: Path) -> None:
    out = dataset / "out" / "sub-c" / "anat"
    write(out / "sub-c_space-T2w_label-SC_desc-auto_mask.nii.gz", volume(), {"Manual": False})
    line = volume((20, 20))
    write(out / "sub-c_space-T2w_label-centerline_mask.nii.gz", line, {"Manual": False})
    found = from_folder(dataset / "out", dataset / "sub-c" / "anat" / "sub-c_T2w.nii.gz")
    assert not found.masks["cord"].data.any()
    assert found.line is None  # it follows the drawn cord
    case = find_cases(dataset, participants=["sub-c"])[0]
    row = next(iter(judge(case, found)))
    assert row["dice"] == 0.0


def test_calibration_is_told_in_the_slices_with_a_label(dataset: Path) -> None:
    out = dataset / "out" / "sub-a1" / "anat"
    soft = 0.75 * volume(CORD)
    soft[..., 4:] = 0.1  # slices that nobody labeled
    write(out / "sub-a1_space-T2w_label-SC_probseg.nii.gz", soft, {"Manual": False})
    case = find_cases(dataset, participants=["a1"])[0]
    row = next(iter(judge(case, from_folder(dataset / "out", case.image))))
    assert row["calibration_error"] == pytest.approx(0.25)
    assert row["dice"] == 1.0


def test_lesions_found_where_nobody_drew_one(dataset: Path) -> None:
    labels = dataset / "derivatives" / "labels" / "sub-b" / "anat"
    write(labels / "sub-b_T2w_lesion-manual.nii.gz", volume())
    case = find_cases(dataset, participants=["b"])[0]
    grid = Image(volume(), AFFINE)
    spot = grid.with_data(volume((slice(18, 20), 18, 5)) > 0)
    masks = {"cord": grid.with_data(volume(CORD) > 0), "lesion": spot}
    rows = {row["structure"]: row for row in judge(case, Predictions(masks, None))}
    assert rows["lesion"]["false_lesion_mm3"] == 2.0
    assert "dice" not in rows["lesion"]
    table = pd.DataFrame([{**rows["lesion"], "trained_on": "no"}])
    assert table["slice_specificity"].iloc[0] == 1.0  # the find lies where nobody drew the cord


def test_labels_may_be_named_as_derivatives_are(dataset: Path) -> None:
    case = find_cases(dataset, dataset / "out", participants=["a2"])[0]
    assert case.truth["cord"].name == "sub-a2_space-T2w_label-SC_mask.nii.gz"


def test_a_lesion_label_of_another_grid_is_not_called_empty(
    dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = dataset / "derivatives" / "labels" / "sub-b" / "anat" / "sub-b_T2w_lesion-manual.nii.gz"
    save(Image(volume(CORD)[:20], AFFINE), path)
    case = find_cases(dataset, participants=["b"])[0]
    with caplog.at_level("WARNING", logger="spinalprep"):
        rows = list(judge(case, Predictions({}, None)))
    assert [row["structure"] for row in rows] == ["cord"]
    assert "is on a different grid" in caplog.text


def test_voxel_order_does_not_matter(dataset: Path) -> None:
    folder = dataset / "derivatives" / "labels" / "sub-a1" / "anat"
    turned = AFFINE.copy()
    turned[:3, 0] *= -1
    turned[0, 3] = AFFINE[0, 0] * (SHAPE[0] - 1)
    data = volume((slice(10, 26), slice(14, 26)))
    save(Image(data[::-1], turned), folder / "sub-a1_T2w_seg-manual.nii.gz")
    case = find_cases(dataset, participants=["a1"])[0]
    found = Predictions({"cord": Image(data > 0, AFFINE)}, None)
    assert next(iter(judge(case, found)))["dice"] == 1.0


def test_mistakes_are_told_in_one_line(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected PARTICIPANT=PERSON"):
        read_persons(dataset, None, ["a1"])
    with pytest.raises(UsageError, match="has no column person"):
        read_persons(dataset, "person", [])
    with pytest.raises(NoInputError, match="has no label"):
        find_cases(tmp_path / "out")
    assert main(["evaluate", str(dataset), "--derivatives", "nowhere", "-o", "x"]) == 2


def test_command_on_a_folder(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dataset / "participants.tsv").write_text("participant_id\twho\nsub-a1\ta\nsub-a2\ta\n")
    words = ["evaluate", str(dataset), "--derivatives", str(dataset / "out")]
    assert main([*words, "-o", str(dataset / "x"), "--person-column", "who"]) == 0
    first = (dataset / "x" / "evaluation_summary.tsv").read_bytes()
    assert main([*words, "-o", str(dataset / "y"), "--person-column", "who"]) == 0
    assert (dataset / "y" / "evaluation_summary.tsv").read_bytes() == first
    assert pd.read_csv(dataset / "x" / "evaluation.tsv", sep="\t")["person_id"].nunique() == 3


def test_networks_that_see_no_cord_get_no_credit(dataset: Path) -> None:
    from spinalprep.networks.weights import load_model

    raw = dataset / "sub-a1" / "anat" / "sub-a1_T2w.nii.gz"
    flat = np.random.default_rng(1).normal(100, 5, SHAPE).astype(np.float32)
    write(raw, flat)
    found = from_networks(raw, (load_model("centerline"), load_model("cord")), 0.8)
    assert 50 < found.peak_mib < 50_000  # torch alone takes more than the lower bound
    case = find_cases(dataset, participants=["a1"])[0]
    row = next(iter(judge(case, found)))
    assert row["answered"] == "yes"
    assert row["dice"] == 0.0
    assert row["localisation"] == 0.0
    models = tuple(load_model(name) for name in ("centerline", "cord", "gm"))
    assert set(found.masks) == {"cord", "gm", "lesion"}  # the cord's network tells all three
    assert set(from_networks(raw, models, 0.8).masks) == {"cord", "lesion"}  # no gm in a T2w
