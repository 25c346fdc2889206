"""Planes to teach the disc detector: truth lies in discs, chance comes from the seed."""

import json

import numpy as np
import pytest

from spinalprep.errors import UsageError
from spinalprep.levels.sequence import FIRST
from spinalprep.networks.weights import load_model
from spinalprep.training.evaluation import scale
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.spines import (
    BONE,
    CORD,
    CSF,
    FIRST_DISC_LABEL,
    X_MM,
    Spines,
    digital_spines,
)
from spinalprep.training.options import RunOptions
from spinalprep.training.synthesis.planes import (
    PlaneRanges,
    _faint,
    _heat,
    _paint,
    _warp,
    make_planes,
)
from spinalprep.training.tasks.discs import DiscsTask
from spinalprep.training.train import train


@pytest.fixture(scope="module")
def spines():
    return digital_spines(range(1000, 1002))


def test_blobs_lie_in_discs_and_one_in_c2c3(spines) -> None:
    for seed in range(6):
        chance = np.random.default_rng(seed)
        spine = spines[seed % 2]
        rows, columns = _warp(spine, PlaneRanges(), chance)
        truth = _heat(spine, rows, columns)
        inside = (rows > 0) & (rows < len(spine.labels) - 1)
        inside &= (columns > 0) & (columns < spine.labels.shape[2] - 1)
        i, j = np.rint(rows[inside]).astype(int), np.rint(columns[inside]).astype(int)
        labels = spine.labels[i, X_MM, j]
        for channel, right in ((0, labels > FIRST_DISC_LABEL), (1, labels == 20 + FIRST)):
            core = truth[channel][inside] > 0.9
            if core.any():
                assert right[core].mean() > 0.9


def test_the_same_seed_gives_the_same_planes(spines) -> None:
    one, two = (
        make_planes(spines, 2, PlaneRanges(), np.random.default_rng([3, 7])) for _ in range(2)
    )
    np.testing.assert_array_equal(one.image.numpy(), two.image.numpy())
    np.testing.assert_array_equal(one.truth.numpy(), two.truth.numpy())
    assert 0 <= float(one.image.min()) <= float(one.image.max()) <= 1
    assert not one.truth.numpy()[:, 1][one.image.numpy()[:, 0].sum(axis=(1, 2)) == 0].any()


def test_faint_colours_hide_fluid_and_discs_but_never_the_cord() -> None:
    drawn = np.array([_faint(np.random.default_rng(seed)) for seed in range(400)])
    disc = drawn[:, FIRST_DISC_LABEL:].mean(axis=1) - drawn[:, BONE]
    assert 0.02 < np.abs(disc).min() < np.abs(disc).max() < 0.13
    assert 0.4 < (disc > 0).mean() < 0.6
    hidden = np.abs(drawn[:, CSF] - drawn[:, BONE]) < 0.05
    assert 0.4 < hidden.mean() < 0.7
    assert np.abs(drawn[:, CORD] - drawn[:, CSF]).min() > 0.07
    assert drawn.min() >= 0


def test_the_share_of_faint_planes_is_the_recipes(spines) -> None:
    labels = spines[0].labels

    def contrast(faint: float, seed: int) -> float:
        ranges, chance = PlaneRanges(faint=faint, edged=0.0), np.random.default_rng(seed)
        values = _paint(labels, None, ranges, chance)
        bone, discs = values[labels == BONE], values[labels > FIRST_DISC_LABEL]
        return abs(float(discs.mean() - bone.mean()))

    assert max(contrast(1.0, seed) for seed in range(8)) < 0.14
    assert max(contrast(0.0, seed) for seed in range(8)) > 0.2


def test_logistic_finds_the_log_ratio_of_two_normal_classes() -> None:
    chance = np.random.default_rng(0)
    slope, offset = scale.log_ratio(
        chance.normal(1.0, 1.0, 4000) + 0.5, chance.normal(-1.0, 1.0, 9000) + 0.5
    )
    assert slope == pytest.approx(2.0, abs=0.1)  # log N(x; 1) / N(x; -1) = 2 x
    assert offset == pytest.approx(-1.0, abs=0.1)


@pytest.mark.slow
def test_a_training_leaves_weights_with_the_scale_of_their_logits(
    spines, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(DiscsTask, "read", lambda *_: Spines(tuple(spines)))
    monkeypatch.setattr(scale, "BATCHES", 2)
    monkeypatch.setattr(scale, "SEEDS", range(2000, 2001))
    dataset = LabelledDataset(tmp_path)
    path = train("discs", dataset, tmp_path / "out", RunOptions(seed=1, steps=2))
    measured = load_model(path).card["scale"]
    assert set(measured) == {"disc", "c2c3"}
    assert all(low < 0 < high for _, _, low, high in measured.values())
    assert json.loads(path.with_suffix(".json").read_text())["steps"] == 2
    with pytest.raises(UsageError, match="no subject can be held out"):
        train("discs", dataset, tmp_path / "other", RunOptions(leave_out=("10062",)))


def test_discs_are_not_learned_without_a_template(tmp_path) -> None:
    with pytest.raises(UsageError, match="expected --shared"):
        train("discs", LabelledDataset(tmp_path), tmp_path)
