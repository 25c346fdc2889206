"""Calling and measuring tumors: thresholds, sizes and extents that are known."""

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.defaults import EDEMA_THRESHOLD
from spinalprep.image import Image
from spinalprep.lesion.tumors import TumorRule, call_tumors, measure_tumors
from spinalprep.levels.discs import Levels
from spinalprep.networks.tumor_maps import STRUCTURES, Structures

SHAPE = (20, 20, 60)


def _maps(**parts: np.ndarray) -> Structures:
    nothing = np.zeros(SHAPE, np.float32)
    return Structures(**{name: parts.get(name, nothing) for name in STRUCTURES})


def _block(low: int, high: int, value: float = 1.0, half: int = 3) -> np.ndarray:
    block = np.zeros(SHAPE, np.float32)
    block[10 - half : 10 + half, 10 - half : 10 + half, low:high] = value
    return block


def test_pieces_of_just_enough_are_kept_and_smaller_ones_dropped() -> None:
    maps = _maps(tumor=_block(0, 10) + _block(30, 34), edema=_block(0, 10), cavity=_block(40, 58))
    rule = TumorRule(tumor_cm3=0.36, edema_cm3=0.361, cavity_cm3=0.5)  # 36 mm2 x 10 mm
    masks = call_tumors(maps, 1.0, rule)
    np.testing.assert_array_equal(masks.tumor, _block(0, 10) > 0)
    assert not masks.edema.any()
    np.testing.assert_array_equal(masks.cavity, _block(40, 58) > 0)
    np.testing.assert_array_equal(masks.abnormality, masks.tumor | masks.cavity)


def test_the_threshold_is_the_least_probability_and_holes_are_filled() -> None:
    soft = _block(0, 20, 0.5)
    soft[10, 10, 10] = 0.0
    masks = call_tumors(_maps(tumor=soft, abnormality=soft), 1.0, TumorRule())
    assert masks.tumor[10, 10, 10]
    assert masks.tumor.sum() == 720
    assert not call_tumors(_maps(tumor=soft), 1.0, TumorRule(threshold=0.51)).tumor.any()


def test_edema_has_a_threshold_of_its_own() -> None:
    soft = _block(0, 20, 0.4)
    for least, there in ((0.4, True), (0.41, False)):
        rule = TumorRule(edema_threshold=least)
        masks = call_tumors(_maps(tumor=soft, edema=soft, cavity=soft), 1.0, rule)
        assert masks.edema.any() == masks.abnormality.any() == there
        assert not masks.tumor.any()
        assert not masks.cavity.any()


def test_the_defaults_are_those_of_the_paper_but_for_edema() -> None:
    rule = TumorRule()
    assert rule.edema_threshold == EDEMA_THRESHOLD < rule.threshold
    assert (rule.threshold, rule.tumor_cm3, rule.edema_cm3, rule.cavity_cm3) == (0.5, 0.2, 0.5, 0.5)
    assert rule.least_mm3("abnormality") == 200.0


def test_measures_of_a_block_in_a_straight_cord() -> None:
    affine = np.diag([-0.5, 0.5, 2.0, 1.0])
    affine[:3, 3] = [5.0, -5.0, 0.0]
    cord = np.zeros(SHAPE, bool)
    cord[5:15, 5:15] = True
    z = np.linspace(118.0, 0.0, 60)
    line = fit_centerline(np.stack([np.zeros(60), np.zeros(60), z], axis=-1))
    tumor = _block(20, 40) > 0
    tumor[9:11, 9:11, 30] = True
    masks = Structures(tumor, tumor & False, tumor & False, tumor)
    gd = np.where(tumor, 300.0, 100.0).astype(np.float32)
    levels = Levels({3: 10.0, 4: 50.0, 5: 90.0})  # from the upper end at z 118
    table = measure_tumors(
        masks,
        Image(cord.astype(np.float32), affine),
        line,
        levels,
        Image(gd, affine),
    ).set_index("structure")
    row = table.loc["tumor"]
    assert row["volume_mm3"] == pytest.approx(720 * 0.5)
    assert row["length_mm"] == pytest.approx(40.0, abs=0.1)
    assert (row["upper_level"], row["lower_level"]) == ("C3", "C4")  # z 78 and 40: s 40 and 78
    assert row["max_section_mm2"] == pytest.approx(9.0)
    assert row["max_section_percent"] == pytest.approx(36.0)
    assert row["enhancement_ratio"] == pytest.approx(3.0)
    assert row["parts"] == 1
    assert table.loc["edema", "volume_mm3"] == 0
    assert np.isnan(table.loc["edema", "length_mm"])
    plain = measure_tumors(masks, Image(cord.astype(np.float32), affine), line, Levels({}))
    assert plain["upper_level"].isna().all()
    assert plain["enhancement_ratio"].isna().all()
