"""Mutual information against scikit-image's, and where it is known."""

import numpy as np
import pytest
from hypothesis import given, strategies
from skimage.metrics import normalized_mutual_information

from spinalprep.registration.information import normalised_mutual_information


@given(strategies.integers(0, 2**32 - 1), strategies.integers(2, 30))
def test_as_scikit_image(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.normal(size=500)
    other = one * rng.uniform(0, 2) + rng.normal(size=500)
    joint = np.histogram2d(one, other, bins)[0]
    expected = normalized_mutual_information(one, other, bins=bins)
    assert normalised_mutual_information(joint) == pytest.approx(expected, rel=1e-12)


def test_strangers_have_one_and_equals_two() -> None:
    share = np.array([0.1, 0.3, 0.6])
    assert normalised_mutual_information(np.outer(share, share)) == pytest.approx(1.0)
    assert normalised_mutual_information(np.diag([4, 7, 1])) == pytest.approx(2.0)
