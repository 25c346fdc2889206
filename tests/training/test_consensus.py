"""Consensus of raters of known quality, kappa of published tables, and the commands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, load, reorient, save
from spinalprep.tools.main import main
from spinalprep.training.evaluation.consensus import (
    fleiss_kappa,
    kappa_of_counts,
    majority,
    staple,
)
from spinalprep.training.evaluation.metrics import overlap_measures
from spinalprep.training.evaluation.predictions import Predictions
from spinalprep.training.evaluation.raters import ALL, NETWORK, compare_raters
from spinalprep.training.material.cases import find_cases

SENSITIVITY = np.array([0.95, 0.9, 0.85, 0.6, 0.55])
SPECIFICITY = np.array([0.98, 0.9, 0.95, 0.8, 0.7])


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    points = np.indices((48, 48, 48)) - 23.5
    return np.linalg.norm(points, axis=0) < 22


@pytest.fixture(scope="module")
def raters(truth: np.ndarray) -> list[np.ndarray]:
    """Five raters who err by chance, as their quality says; two of them are bad."""
    draw = np.random.default_rng(5)
    pairs = zip(SENSITIVITY, SPECIFICITY, strict=True)
    return [draw.random(truth.shape) < np.where(truth, p, 1 - q) for p, q in pairs]


def test_staple_finds_the_quality_of_every_rater(
    truth: np.ndarray, raters: list[np.ndarray]
) -> None:
    found = staple(raters)
    np.testing.assert_allclose(found.sensitivity, SENSITIVITY, atol=0.01)
    np.testing.assert_allclose(found.specificity, SPECIFICITY, atol=0.01)
    by_vote = overlap_measures(majority(raters).mask, truth)["dice"]
    by_staple = overlap_measures(found.mask, truth)["dice"]
    assert by_staple > by_vote + 0.005
    assert 1 < found.steps < 500


def test_its_probability_is_a_share(truth: np.ndarray, raters: list[np.ndarray]) -> None:
    probability = staple(raters).probability
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (probability > low) & (probability < low + 0.2)
        if near.sum() > 500:
            assert truth[near].mean() == pytest.approx(probability[near].mean(), abs=0.05)


def test_the_order_of_raters_does_not_matter(raters: list[np.ndarray]) -> None:
    one, other = staple(raters), staple(raters[::-1])
    np.testing.assert_allclose(one.sensitivity, other.sensitivity[::-1], atol=1e-5)
    np.testing.assert_array_equal(one.mask, other.mask)


def test_raters_who_agree_are_right() -> None:
    mask = np.zeros((20, 20, 4), bool)
    mask[8:12, 8:12, 1:3] = True
    found = staple([mask] * 3)
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_allclose([found.sensitivity, found.specificity], 1.0, atol=1e-6)
    assert fleiss_kappa([mask] * 3) == pytest.approx(1.0)


def test_a_majority_is_more_than_half() -> None:
    masks = [np.array(row, bool).reshape(1, 1, 4) for row in ([1, 1, 1, 0], [1, 1, 0, 0])]
    assert majority(masks).mask.ravel().tolist() == [True, True, False, False]
    masks.append(np.array([0, 1, 1, 0], bool).reshape(1, 1, 4))
    found = majority(masks)
    assert found.mask.ravel().tolist() == [True, True, True, False]
    assert found.sensitivity.tolist() == pytest.approx([1, 2 / 3, 2 / 3])
    assert found.specificity.tolist() == [1.0, 1.0, 1.0]


def test_kappa_of_the_published_table() -> None:
    # Fleiss (1971), table 1 of many textbooks: ten subjects, fourteen raters, five classes
    counts = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    assert kappa_of_counts(counts) == pytest.approx(0.210, abs=5e-4)


def test_kappa_of_chance_is_none(truth: np.ndarray) -> None:
    draw = np.random.default_rng(0)
    assert fleiss_kappa([draw.random(truth.shape) < 0.3 for _ in range(3)]) == pytest.approx(
        0, abs=0.01
    )


def test_the_command_joins_masks_of_any_voxel_order(
    truth: np.ndarray, raters: list[np.ndarray], tmp_path: Path
) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    files = []
    for n, mask in enumerate(raters):
        image = Image(mask.astype(np.float32), affine)
        turned = reorient(image, "PIR") if n == 1 else image
        files.append(str(save(turned, tmp_path / f"{n}.nii.gz", dtype=np.uint8)))
    assert main(["consensus", *files, "-o", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "raters.tsv", sep="\t")
    rows = table[table["method"] == "staple"]
    np.testing.assert_allclose(rows["sensitivity"], SENSITIVITY, atol=0.01)
    joined = load(tmp_path / "out" / "staple.nii.gz")
    assert overlap_measures(joined.data > 0, truth)["dice"] > 0.97
    assert joined.voxel_volume == pytest.approx(2.0)
    assert main(["consensus", files[0], "-o", str(tmp_path / "out")]) == 2


def test_raters_and_network_in_one_table(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    for n in range(3):
        draw = np.zeros((20, 20, 4), np.float32)
        draw[5:15, 5:15, :3] = 1
        other = np.zeros_like(draw)
        other[5:15, 5 : 14 - n, :3] = 1  # 9, 8, 7 of 10 columns
        for folder, name, data in (
            ("bids", "T2w", draw),
            ("bids/derivatives/labels", "T2w_seg-manual", draw),
            ("second", "T2w_seg-manual", other),
        ):
            path = tmp_path / folder / f"sub-{n}" / "anat" / f"sub-{n}_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(Image(data, affine), path)
    bids = tmp_path / "bids"
    cases = {"manual": find_cases(bids), "second": find_cases(bids, tmp_path / "second")}

    def predict(image: Path) -> Predictions:
        grid = reorient(load(image))
        found = grid.data > 0
        found[:, :, 3] = True  # where nobody drew anything
        return Predictions({"cord": grid.with_data(found)}, None)

    summary = compare_raters(cases, predict, tmp_path / "out").set_index(
        ["first", "second", "measure"]
    )
    dice = np.mean([2 * k / (10 + k) for k in (9, 8, 7)])
    assert summary.loc[("manual", "second", "dice"), "mean"] == pytest.approx(dice)
    assert summary.loc[("second", NETWORK, "dice"), "mean"] == pytest.approx(dice)
    assert summary.loc[("manual", NETWORK, "dice"), "mean"] == 1.0
    assert summary.loc[("manual", NETWORK, "kappa"), "mean"] == 1.0
    assert summary.loc[("manual", "second", "dice"), "people"] == 3
    assert (tmp_path / "out" / "raters.tsv").is_file()
    table = pd.read_csv(tmp_path / "out" / "raters.tsv", sep="\t", keep_default_na=False)
    assert set(table.loc[table["first"] == ALL, "second"]) == {"n/a", NETWORK}
    one = table[(table["first"] == "manual") & (table["second"] == "second")].iloc[0]
    assert (float(one["first_mm3"]), float(one["second_mm3"])) == (600.0, 540.0)
