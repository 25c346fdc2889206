"""Learning rates, and how they are found."""

import numpy as np
import pytest

from spinalprep.errors import UsageError
from spinalprep.training.fitting.schedules import Schedule, rising_rates, suggest_rates


def test_cosine_warms_up_and_ends_at_nothing() -> None:
    schedule = Schedule(steps=1000, rate=1e-2)
    rates = [schedule.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-4, rel=0.01)
    assert np.argmax(rates) == 99
    assert rates[-1] < 1e-6
    assert schedule.rate_at(500) == pytest.approx(5e-3)


@pytest.mark.parametrize(("shape", "second"), [("triangular", 1.0), ("triangular2", 0.5)])
def test_triangles_rise_and_fall_in_every_cycle(shape: str, second: float) -> None:
    schedule = Schedule(100, 1.1, shape=shape, lowest=0.1, cycle=20)
    rates = [schedule.rate_at(step) for step in range(40)]
    assert rates[0] == rates[20] == pytest.approx(0.1)
    assert rates[10] == pytest.approx(1.1)
    assert rates[5] == rates[15] == pytest.approx(0.6)
    assert rates[30] == pytest.approx(0.1 + second)


def test_restarts_begin_every_cycle_at_the_peak() -> None:
    schedule = Schedule(100, 1.1, shape="restarts", lowest=0.1, cycle=20)
    assert schedule.rate_at(0) == schedule.rate_at(20) == pytest.approx(1.1)
    assert schedule.rate_at(10) == pytest.approx(0.6)
    assert schedule.rate_at(19) < 0.11


def test_the_constant_is() -> None:
    assert {Schedule(9, 0.2, shape="constant").rate_at(n) for n in range(9)} == {0.2}


@pytest.mark.parametrize("wrong", [{"shape": "sine"}, {"cycle": 1}, {"lowest": 1.0}])
def test_what_is_no_schedule_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="schedule"):
        Schedule(10, 0.1, **wrong)  # type: ignore[arg-type]


def test_a_range_test_is_read_as_a_person_would() -> None:
    rates = rising_rates(1e-6, 1.0, 300)
    np.testing.assert_allclose(rates[1:] / rates[:-1], rates[1] / rates[0])
    fall = 1 / (1 + np.exp(-2 * (np.log10(rates) + 4)))  # half of the fall at 1e-4
    losses = 1.5 - fall + np.where(rates > 1e-2, 20 * (rates - 1e-2), 0)
    losses[rates > 0.3] = np.nan
    losses += 0.02 * np.random.default_rng(0).standard_normal(300)
    lowest, peak = suggest_rates(rates, losses)
    assert 3e-6 < lowest < 3e-5
    assert 3e-4 < peak < 3e-3


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    rates = rising_rates(1e-6, 1.0, 100)
    with pytest.raises(UsageError, match="does not decrease"):
        suggest_rates(rates, np.linspace(1, 5, 100))
