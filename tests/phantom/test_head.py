"""The upper end of the digital spine tells C2/C3 from the other discs."""

from dataclasses import replace

import numpy as np

from spinalprep.phantom.anatomy import BONE, DISC, GM, WM, make_person


def column(person, s: np.ndarray, y: float) -> np.ndarray:
    return person.tissue(np.stack([s, 0 * s, np.full_like(s, y)], axis=-1))


def test_no_disc_above_c2_and_a_long_body_in_its_place() -> None:
    person = make_person(100_002)
    s = np.arange(0.0, person.disc_s[3] + 3.0, 0.5)
    tissue = column(person, s, 9.0)
    assert (tissue[np.abs(s - person.disc_s[3]) < 2] == DISC).all()
    assert not (tissue[s < person.disc_s[3] - 3] == DISC).any()
    body = (s > person.disc_s[2] - 10) & (s < person.disc_s[3] - 4)
    assert (tissue[body] == BONE).mean() > 0.9
    headless = column(replace(person, head=False), s, 9.0)
    assert (headless[np.abs(s - person.disc_s[2]) < 2] == DISC).all()


def test_the_cord_is_the_same_with_and_without_a_head() -> None:
    person = make_person(100_002, lesions=1)
    grid = np.stack(
        np.meshgrid(np.arange(0, 190, 5.0), np.arange(-9, 10), np.arange(-9, 10), indexing="ij"),
        axis=-1,
    )
    with_head, without = person.tissue(grid), replace(person, head=False).tissue(grid)
    cord = np.isin(with_head, (WM, GM))
    assert cord.sum() > 1000
    np.testing.assert_array_equal(cord, np.isin(without, (WM, GM)))
