"""Digital tumors: volumes, widened cords, and what grows in nobody else."""

import numpy as np
import pytest

from spinalprep.phantom.anatomy import GM, TISSUES, WM
from spinalprep.phantom.tumors import (
    CAVITY,
    TUMOR,
    TUMOR_KINDS,
    Body,
    Growth,
    Patient,
    make_growth,
    make_patient,
    scan_patient,
)

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])


def _straight(patient: Patient, low: float, high: float) -> tuple[np.ndarray, float]:
    """Sample straight space at 0.5 x 0.25 x 0.25 mm: tissues, and the volume of a point."""
    s = np.arange(low, high, 0.5)
    across = np.arange(-14, 14, 0.25)
    points = np.stack(np.meshgrid(s, across, across, indexing="ij"), axis=-1)
    return patient.tissue(points), 0.5 * 0.25 * 0.25


@pytest.mark.slow
def test_a_body_has_the_volume_that_its_numbers_say() -> None:
    body = Body("tumor", 90.0, 20.0, (0.1, 0.0), (0.6, 0.5), blunt=1.0)
    person = make_patient(110_000, "healthy")
    patient = Patient(**{**vars(person), "growth": Growth("astrocytoma", (body,))})
    tissue, point = _straight(patient, 65.0, 115.0)
    s = np.linspace(70.0, 110.0, 2001)
    width = 1 - ((s - 90.0) / 20.0) ** 2  # squared: of an ellipsoid
    rl, ap = patient.radii_at(s)
    expected = np.trapezoid(np.pi * 0.6 * rl * 0.5 * ap * width, s)
    assert (tissue == TUMOR).sum() * point == pytest.approx(expected, rel=0.02)


def test_what_comes_later_lies_over_what_comes_first() -> None:
    tumor = Body("tumor", 90.0, 20.0, (0.0, 0.0), (0.9, 0.9))
    cyst = Body("cavity", 90.0, 5.0, (0.0, 0.0), (0.4, 0.4))
    person = make_patient(110_001, "healthy")
    patient = Patient(**{**vars(person), "growth": Growth("ependymoma", (tumor, cyst))})
    middle, beside = patient.tissue(np.array([[90.0, 0.0, 0.0], [82.0, 0.0, 0.0]]))
    assert (middle, beside) == (CAVITY, TUMOR)


def test_a_bulge_widens_the_cord_and_leaves_the_rest() -> None:
    person = make_patient(110_002, "healthy")
    growth = Growth("ependymoma", (), ((70.0, 110.0, 0.4),))
    wider = Patient(**{**vars(person), "growth": growth})
    for patient in (person, wider):
        tissue, point = _straight(patient, 85.0, 95.0)
        area = np.isin(tissue, (WM, GM)).sum() * point / 10.0
        assert area == pytest.approx(patient.area_at(90.0), rel=0.03)
    assert wider.area_at(90.0) == pytest.approx(1.96 * person.area_at(90.0), rel=1e-6)
    assert wider.area_at(40.0) == person.area_at(40.0)
    far = np.array([[90.0, 30.0, 0.0], [90.0, 0.0, 15.0]])
    np.testing.assert_array_equal(wider.tissue(far), person.tissue(far))


def test_growths_follow_the_seed_and_the_kind() -> None:
    assert make_growth(110_003, "ependymoma", 180.0) == make_growth(110_003, "ependymoma", 180.0)
    assert make_growth(110_003, "ependymoma", 180.0) != make_growth(110_004, "ependymoma", 180.0)
    with pytest.raises(ValueError, match="for tests"):
        make_patient(3, "ependymoma")
    with pytest.raises(ValueError, match="expected one of"):
        make_growth(110_003, "glioma", 180.0)


def test_kinds_differ_as_the_literature_says() -> None:
    drawn = {k: [make_growth(110_100 + n, k, 180.0) for n in range(40)] for k in TUMOR_KINDS}
    half = {k: np.mean([_tumor_of(g).half_mm for g in gs]) for k, gs in drawn.items()}
    glow = {k: np.mean([g.enhancement for g in gs]) for k, gs in drawn.items()}
    assert half["hemangioblastoma"] < 0.6 * half["astrocytoma"]
    assert glow["astrocytoma"] < glow["ependymoma"] < glow["hemangioblastoma"]
    middles = {k: np.mean([np.hypot(*_tumor_of(g).centre) for g in gs]) for k, gs in drawn.items()}
    assert middles["ependymoma"] < min(middles["astrocytoma"], middles["hemangioblastoma"])


def _tumor_of(growth: Growth) -> Body:
    return next(body for body in growth.bodies if body.structure == "tumor")


@pytest.mark.slow
def test_a_scan_shows_fluid_in_cavities_and_contrast_agent_in_tumors() -> None:
    affine = np.diag([1.5, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-18.0, -24.0, -60.0]
    tumor = Body("tumor", 95.0, 15.0, (0.0, 0.0), (0.8, 0.8))
    cyst = Body("cavity", 125.0, 12.0, (0.0, 0.0), (0.7, 0.7))
    growth = Growth("ependymoma", (tumor, cyst), (), (0.3, 0.3, 1.0), 0.9)
    person = make_patient(110_005, "healthy")
    patient = Patient(**{**vars(person), "growth": growth})
    scan = scan_patient(patient, (24, 48, 120), affine, 110_005, noise=0.01)
    inside = {name: share.data > 0.9 for name, share in scan.structures.items()}
    plain = (scan.cord.data > 0.9) & (scan.structures["abnormality"].data == 0)
    t2w, t1w = scan.t2w.data, scan.gd_t1w.data
    assert t2w[inside["cavity"]].mean() > 1.5 * t2w[plain].mean()
    assert t1w[inside["cavity"]].mean() < 0.6 * t1w[plain].mean()
    assert t1w[inside["tumor"]].mean() > 1.2 * t1w[plain].mean()
    whole = sum(scan.structures[name].data for name in ("tumor", "edema", "cavity"))
    np.testing.assert_allclose(scan.structures["abnormality"].data, whole, atol=1e-6)
    assert len(patient.tissues) == len(TISSUES) + 3
