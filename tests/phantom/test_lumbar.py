"""A lumbar synthetic subject: the same from its seed, whole, and with the truth that it is told."""

from dataclasses import fields, replace

import numpy as np
import pytest

from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.phantom.lumbar import (
    TESTING_RANGES,
    TRAINING_RANGES,
    LumbarPerson,
    LumbarRanges,
    make_lumbar,
)
from spinalprep.phantom.lumbar_scans import LumbarProtocol, draw_protocol, draw_tissues, scan
from spinalprep.phantom.lumbar_tissues import NUMBER, TISSUES, to_structures

Y, Z = np.arange(-90.0, 90.0, 1.5), np.arange(-90.0, 180.0, 1.5)
HEALTHY = LumbarRanges(
    degeneration=(0.1, 0.2), stenosis=0, listhesis=0, transitional=0, scoliosis_mm=(0, 0)
)


@pytest.fixture(scope="module")
def person() -> LumbarPerson:
    return make_lumbar(41, HEALTHY)


def at(person: LumbarPerson, x: float, y: float, z: float, reach: float = 1.5) -> dict[str, float]:
    """Return the share of every structure within some mm of a point."""
    offset = np.arange(-reach, reach + 0.1, 0.5)
    found = to_structures(draw_tissues(person, np.array([x]), y + offset, z + offset))
    counts = np.bincount(found.ravel(), minlength=len(STRUCTURES)) / found.size
    return dict(zip(STRUCTURES, counts.tolist(), strict=True))


def test_every_structure_is_there(person: LumbarPerson) -> None:
    seen = to_structures(draw_tissues(person, np.linspace(-30, 30, 11), Y, Z))
    assert set(np.unique(seen).tolist()) == set(range(len(STRUCTURES)))


def test_a_slice_is_the_same_alone_and_among_others(person: LumbarPerson) -> None:
    many = draw_tissues(person, np.array([-12.0, 0.0, 5.0]), Y, Z)
    alone = draw_tissues(person, np.array([5.0]), Y, Z)
    assert (many[2] == alone[0]).mean() > 0.999  # waves are summed in float32
    other = draw_tissues(make_lumbar(42, HEALTHY), np.array([5.0]), Y, Z)
    assert (other != alone).mean() > 0.05


def test_discs_and_bodies_are_where_they_are_said_to_be(person: LumbarPerson) -> None:
    assert [v.name for v in person.vertebrae][:6] == ["L5", "L4", "L3", "L2", "L1", "T12"]
    assert list(person.discs())[:2] == ["L5/S1", "L4/L5"]
    for name, (x, y, z) in list(person.discs().items())[:6]:
        assert at(person, x, y, z)["intervertebral discs"] > 0.9, name
    for v in person.vertebrae[:6]:
        assert at(person, v.x, v.y, v.z)["vertebrae"] > 0.9, v.name
    heights = [v.z for v in person.vertebrae]
    assert heights == sorted(heights)
    first = person.sacrum[0]
    middle = first.y - 0.5 * first.height * np.sin(first.tilt), first.z - 0.4 * first.height
    assert at(person, 0.0, *middle)["sacrum"] > 0.9


def test_a_narrow_level_has_less_canal(person: LumbarPerson) -> None:
    narrow = replace(person, narrow={1: 0.5})
    _, _, z = person.discs()["L4/L5"]
    rows = np.arange(-60.0, 20.0, 0.5)
    columns = np.arange(z - 8, z + 2, 1.0)

    def area(who: LumbarPerson, of: np.ndarray) -> float:
        tissues = to_structures(draw_tissues(who, np.arange(-14.0, 15.0, 2.0), rows, of))
        return float((tissues == STRUCTURES.index("spinal cavity")).sum())

    assert area(narrow, columns) < 0.75 * area(person, columns)
    elsewhere = np.arange(z + 55, z + 65, 1.0)
    assert area(narrow, elsewhere) == area(person, elsewhere)


def test_four_or_six_free_vertebrae_are_named_so() -> None:
    always = replace(TRAINING_RANGES, transitional=1.0)
    lowest = {make_lumbar(seed, always).vertebrae[0].name for seed in range(12)}
    assert lowest == {"L4", "L6"}
    six = next(
        p
        for p in (make_lumbar(n, always) for n in range(12))
        if len(p.discs()) and p.vertebrae[0].name == "L6"
    )
    assert six.transitional
    assert [v.name for v in six.vertebrae[:7]] == ["L6", "L5", "L4", "L3", "L2", "L1", "T12"]


def test_subjects_for_testing_vary_more() -> None:
    for f in fields(LumbarRanges):
        usual, wide = getattr(TRAINING_RANGES, f.name), getattr(TESTING_RANGES, f.name)
        if isinstance(usual, tuple):
            assert wide[0] <= usual[0]
            assert wide[1] >= usual[1]
        else:
            assert wide >= usual


@pytest.mark.slow
def test_scans_show_what_spin_echoes_show(person: LumbarPerson) -> None:
    protocol = LumbarProtocol(slices=1, pixel_mm=1.25, noise=0.005, coil_mm=1e4)
    found = scan(person, protocol)
    x, y, z = (
        found.t2w.affine[n, 3] + found.t2w.affine[n, n] * np.arange(found.t2w.shape[n])
        for n in range(3)
    )
    tissues = draw_tissues(person, x, y, z)
    mean = {
        (contrast, name): float(image.data[tissues == NUMBER[name]].mean())
        for contrast, image in (("T2w", found.t2w), ("T1w", found.t1w))
        for name in ("csf", "subcutaneous fat", "muscle", "marrow", "nucleus")
    }
    assert mean["T2w", "csf"] > 2 * mean["T2w", "muscle"]
    assert mean["T2w", "nucleus"] > mean["T2w", "muscle"]
    assert mean["T1w", "csf"] < mean["T1w", "marrow"] < mean["T1w", "subcutaneous fat"]
    assert (
        mean["T1w", "csf"] / mean["T2w", "csf"]
        < 0.5 * mean["T1w", "nucleus"] / mean["T2w", "nucleus"]
    )
    assert found.t2w.same_grid(found.structures)
    assert found.t2w.same_grid(found.t1w)
    again = scan(person, protocol)
    np.testing.assert_array_equal(found.t2w.data, again.t2w.data)


def test_protocols_are_those_of_the_published_scanners() -> None:
    for seed in range(30):
        drawn = draw_protocol(seed)
        assert 3.5 <= drawn.slice_mm <= 6.0
        assert 0.31 <= drawn.pixel_mm <= 1.25
        assert drawn.t2w[1] <= 137


def test_every_tissue_has_a_structure() -> None:
    assert to_structures(np.arange(len(TISSUES), dtype=np.uint8)).max() == len(STRUCTURES) - 1
