"""The loop: killed and resumed, stopped early, searched for its rates; recipes of one's own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from spinalprep.errors import UsageError
from spinalprep.networks.unet2d import UNet2d
from spinalprep.training.fitting.loop import Validation, fit, read_progress
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.fitting.range_test import range_test
from spinalprep.training.fitting.schedules import Schedule, rising_rates, suggest_rates
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.tasks.slices import SliceRecipe

ONE = torch.ones(4, 1, 1, 1)
SCRIPT = """
import sys, time
from pathlib import Path
import torch
sys.path.insert(0, {here!r})
from test_trainer import discs, network
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.fitting.loop import fit

def slow(step):
    time.sleep(0.02)
    return discs(step)

fit(network(), slow, Schedule(40, 1e-2, 2), Path(sys.argv[1]))
"""


def discs(step: int) -> Batch:
    """A bright disc anywhere in noise."""
    draw = torch.Generator().manual_seed(step)
    centre = 6 + 12 * torch.rand(4, 2, 1, 1, generator=draw)
    axis = torch.arange(24.0)
    apart = (axis[:, None] - centre[:, 0]) ** 2 + (axis[None, :] - centre[:, 1]) ** 2
    truth = (apart < 16).float()[:, None]
    return Batch(truth + 0.5 * torch.randn(truth.shape, generator=draw), truth, ONE)


def network() -> UNet2d:
    torch.manual_seed(1)
    return UNet2d(1, 4, 2)


@pytest.mark.slow
def test_a_run_that_was_killed_9_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(2):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        child = subprocess.Popen(
            [sys.executable, str(script), str(checkpoint.parent)], env=environment
        )
        waited = time.monotonic() + 120
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert child.poll() is None
            assert time.monotonic() < waited
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert 2 <= read_progress(checkpoint.parent).step < 40
    schedule = Schedule(40, 1e-2, 2)
    resumed = fit(network(), discs, schedule, checkpoint.parent)
    whole = fit(network(), discs, schedule, tmp_path / "whole")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)
    steps = pd.read_csv(checkpoint.parent / "loss.csv")["step"]
    assert steps.is_monotonic_increasing
    assert steps.is_unique


class Line(nn.Module):
    """One number, which training draws to 1; the image is a disc of that brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * 0 + self.height


def squared(logits: torch.Tensor, truth: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return ((logits - truth) ** 2).mean()


def test_training_stops_when_the_people_left_out_say_so(tmp_path: Path) -> None:
    blank = torch.zeros(4, 1, 2, 2)
    taught = Batch(blank, blank + 1.0, ONE)
    watched = Validation([Batch(blank, blank + 0.5, ONE)], patience=4)
    schedule = Schedule(500, 2e-2, save_every=5, shape="constant")
    kept = fit(Line(), lambda _: taught, schedule, tmp_path, squared, watched)
    height = float(kept.get_parameter("height").detach())
    assert height == pytest.approx(0.5, abs=0.06)  # the best for them, not for those taught
    progress = read_progress(tmp_path)
    assert progress.step < 500
    assert progress.step - progress.kept == 20
    curve = pd.read_csv(tmp_path / "loss.csv")
    assert curve["validation_loss"].idxmin() == curve["step"].eq(progress.kept).idxmax()
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    again = fit(Line(), lambda _: taught, schedule, tmp_path, squared, watched)  # nothing is left
    assert float(again.get_parameter("height").detach()) == height


def test_batch_norm_keeps_its_statistics_in_the_average(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    kept = fit(plain, discs, Schedule(30, 1e-2), tmp_path)
    mean = kept.get_buffer("1.running_mean")
    torch.testing.assert_close(mean, plain.get_buffer("1.running_mean"))
    assert bool((mean != 0).any())


@pytest.mark.slow
def test_a_range_test_finds_rates_that_teach(tmp_path: Path) -> None:
    loss = find_loss("dice + cross_entropy")
    rates = rising_rates(1e-6, 3.0, 120)
    losses = range_test(network(), discs, rates, loss)
    lowest, peak = suggest_rates(rates, losses)
    assert 1e-5 < lowest < peak < 1.0
    schedule = Schedule(60, peak, shape="triangular", lowest=lowest, cycle=30)
    taught = fit(network(), discs, schedule, tmp_path, loss)
    batch = discs(10_000)
    with torch.no_grad():
        before = float(loss(network()(batch.image), batch.truth, batch.weight))
        after = float(loss(taught(batch.image), batch.truth, batch.weight))
    assert after < 0.6 * before


def test_a_recipe_of_ones_own_says_how_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'based_on = "cord"\nloss = "focal_tversky"\nschedule = "triangular"\nlowest = 1e-5\n'
        "cycle = 100\nsteps = 7\n[ranges]\nlesions = 0.9\n"
    )
    mine, cord = find_recipe(str(path)), find_recipe("cord")
    assert isinstance(mine, SliceRecipe)
    assert isinstance(cord, SliceRecipe)
    assert (mine.name, mine.loss, mine.steps) == ("mine", "focal_tversky", 7)
    assert mine.ranges.lesions == 0.9
    assert mine.ranges.size == cord.ranges.size
    assert task_of(mine).schedule(7).rate_at(50) == pytest.approx(cord.rate)
    assert np.isclose(task_of(cord).schedule(cord.steps).rate_at(99), cord.rate, rtol=0.01)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ('based_on = "cord"\nlosss = "dice"', "losss"),
        ('based_on = "cord"\nloss = "dise"', "dise"),
        ('based_on = "cord"\npreset = "vgg"', "vgg"),
        ('based_on = "brain"', "unknown recipe 'brain'"),
        ('based_on = "cord"\nsteps = "many"', r"expected int @ \$\.steps"),
        ('based_on = "cord"\n[ranges]\nsice = 4', "sice"),
        ('task = "poetry"', "'poetry' is not one of contrasts, discs, .*slices, straightened"),
        ('task = "discs"\nrole = "discs"\npreset = "disc_unet"', "required field missing"),
        ("based_on = ", "TOML"),
    ],
)
def test_a_recipe_that_is_none_is_refused(words: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(words)
    with pytest.raises(UsageError, match=told):
        find_recipe(str(path))
