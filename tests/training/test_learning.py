"""Learning curves whose law is known."""

import numpy as np
import pytest

from spinalprep.errors import InputError
from spinalprep.training.evaluation.learning import fit_learning_curve, predict_interval

PEOPLE = np.array([1.0, 2, 3, 4, 5])


@pytest.mark.parametrize(("scale", "rate"), [(0.3, 0.5), (0.05, 0.0), (0.1, 1.7)])
def test_a_power_law_is_found_again(scale: float, rate: float) -> None:
    curve = fit_learning_curve(PEOPLE, scale * PEOPLE**-rate)
    assert (curve.scale, curve.rate) == pytest.approx((scale, rate), abs=1e-9)
    assert curve.predict(np.array([40.0]))[0] == pytest.approx(scale * 40**-rate)


def test_the_interval_holds_the_truth_and_widens_with_the_spread_of_people() -> None:
    chance = np.random.default_rng(0)
    law = 0.1 * PEOPLE**-0.4
    widths = []
    for spread in (0.05, 0.3):
        errors = law[:, None] * np.exp(spread * chance.standard_normal((5, 8)))
        lower, upper = predict_interval(PEOPLE, errors, 10.0)
        assert lower < 0.1 * 10**-0.4 < upper
        widths.append(upper - lower)
    assert widths[1] > 2 * widths[0]
    assert np.isnan(predict_interval(PEOPLE, law[:, None], 10.0)).all()


def test_one_number_of_people_is_no_curve() -> None:
    with pytest.raises(InputError, match="two numbers of subjects"):
        fit_learning_curve(np.ones(3), np.full(3, 0.1))
