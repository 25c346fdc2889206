"""Heights by discs, and sections laid on sections."""

import numpy as np
import pytest

from spinalprep.registration.along import AlongCord, map_heights

DISC_Z = {3: -20.0, 4: -36.0, 5: -54.0, 6: -70.0}


def test_discs_are_met_and_order_is_kept() -> None:
    disc_s = {3: 10.0, 4: 30.0, 5: 44.0, 6: 66.0}
    s = np.linspace(0, 90, 500)
    z = map_heights(s, disc_s, DISC_Z, 90)
    assert (np.diff(z) < 0).all()
    np.testing.assert_allclose(
        map_heights(np.array(list(disc_s.values())), disc_s, DISC_Z, 90), list(DISC_Z.values())
    )


def test_beyond_the_discs_the_line_goes_on() -> None:
    z = map_heights(np.array([0.0, 10, 26, 42]), {3: 10.0, 4: 26.0}, DISC_Z, 50)
    np.testing.assert_allclose(z, [-10, -20, -36, -52])


def test_one_disc_shifts() -> None:
    z = map_heights(np.array([0.0, 20, 40]), {4: 20.0}, DISC_Z, 40)
    np.testing.assert_allclose(z, [-16, -36, -56])


def test_unknown_levels_put_the_middle_at_the_middle_of_c5() -> None:
    z = map_heights(np.array([0.0, 25, 50]), {}, DISC_Z, 50)
    np.testing.assert_allclose(z, [-62 + 25, -62, -62 - 25])


def test_discs_that_the_template_lacks_don_t_count() -> None:
    z = map_heights(np.array([20.0]), {4: 20.0, 25: 300.0}, DISC_Z, 40)
    assert z[0] == pytest.approx(-36)


def test_there_and_back() -> None:
    n = 30
    s = np.linspace(0, 60, n)
    rng = np.random.default_rng(0)
    along = AlongCord(
        s,
        -100 - 1.2 * s - 0.002 * s**2,
        rng.normal(0, 1, (n, 2)),
        rng.normal(0, 1, (n, 2)),
        rng.uniform(0.7, 1.4, (n, 2)),
        rng.uniform(-20, 20, n),
    )
    sxy = np.stack([rng.uniform(-10, 70, 200), *rng.uniform(-15, 15, (2, 200))], axis=-1)
    np.testing.assert_allclose(along.to_straight(along.to_template(sxy)), sxy, atol=1e-8)
