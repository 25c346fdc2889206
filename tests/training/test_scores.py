"""Scores of a batch, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, matthews_corrcoef

from spinalprep.training.fitting.scores import Confusion, confusion


def test_scores_are_those_of_scikit_learn() -> None:
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 2, 9, 7, generator=draw)
    truth = (torch.rand(4, 2, 9, 7, generator=draw) < 0.2).float()
    weight = torch.ones(4, 2, 1, 1)
    weight[2, 1] = 0
    seen = confusion(logits, truth, weight)
    known = weight.expand_as(truth).numpy().ravel() > 0
    found, there = (np.asarray(part).ravel()[known] for part in (logits > 0, truth > 0.5))
    assert seen.matthews == pytest.approx(matthews_corrcoef(there, found))
    assert seen.dice == pytest.approx(f1_score(there, found))


def test_batches_are_counted_together() -> None:
    counts = Confusion(6, 1, 2, 3) + Confusion(0, 1, 0, 0)
    assert counts == Confusion(6, 2, 2, 3)
    assert counts.dice == pytest.approx(12 / 16)


def test_nothing_drawn_and_nothing_found_has_no_score() -> None:
    assert math.isnan(Confusion(0, 0, 0, 9).dice)
    assert Confusion(0, 0, 0, 9).matthews == 0.0
    assert Confusion(5, 0, 0, 9).matthews == 1.0
    assert Confusion(0, 5, 9, 0).matthews == -1.0
