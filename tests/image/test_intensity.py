"""Common intensities: known values, order kept, scanners' scales removed."""

import numpy as np
import pytest

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image.intensity import (
    apply_standard,
    find_landmarks,
    learn_standard,
    scale_percentiles,
)


def test_percentiles_become_zero_and_one() -> None:
    data = np.arange(101.0).reshape(1, 1, 101)
    scaled = scale_percentiles(data, 10, 90)
    assert scaled[0, 0, 10] == 0
    assert scaled[0, 0, 90] == 1
    assert scaled[0, 0, 50] == pytest.approx(0.5)
    assert scaled.min() == 0
    assert scaled.max() == 1


def test_only_the_mask_counts() -> None:
    data = np.array([0.0, 1, 2, 1000])
    scaled = scale_percentiles(data, 0, 100, np.array([True, True, True, False]))
    np.testing.assert_allclose(scaled, [0, 0.5, 1, 1])
    with pytest.raises(EmptyMaskError):
        scale_percentiles(data, 0, 100, np.zeros(4, bool))


def test_constant_image_scales_to_zero() -> None:
    assert scale_percentiles(np.full(5, 3.0)).tolist() == [0] * 5


def test_landmarks_undo_gain_and_offset() -> None:
    tissue = np.random.default_rng(0).gamma(3, 100, 20_000)
    scans = [gain * tissue + offset for gain, offset in ((1, 0), (3.5, 20), (0.2, -7))]
    rows = [find_landmarks(scan) for scan in scans]
    standard = learn_standard(rows)
    assert standard[0] == 0
    assert standard[-1] == 1
    first, *others = (
        apply_standard(scan, row, standard) for scan, row in zip(scans, rows, strict=True)
    )
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-4)


def test_landmarks_undo_a_bent_scale_and_keep_the_order() -> None:
    tissue = np.random.default_rng(0).random(20_000)
    bent = tissue**2
    rows = [find_landmarks(tissue), find_landmarks(bent)]
    standard = learn_standard(rows)
    apart = np.abs(tissue - bent).mean()
    mapped = [apply_standard(v, row, standard) for v, row in zip((tissue, bent), rows, strict=True)]
    assert np.abs(mapped[0] - mapped[1]).mean() < 0.1 * apart
    order = np.argsort(bent)
    assert (np.diff(mapped[1][order]) >= 0).all()


def test_many_equal_values() -> None:
    data = np.concatenate([np.zeros(6000), np.random.default_rng(0).random(4000) + 1])
    mapped = apply_standard(data, find_landmarks(data), np.linspace(0, 1, 11))
    assert np.isfinite(mapped).all()
    assert mapped[0] < mapped[-1]


def test_nothing_to_learn_from() -> None:
    with pytest.raises(InputError, match="at least one"):
        learn_standard([])
    with pytest.raises(InputError, match="one intensity"):
        learn_standard([np.ones(11)])
