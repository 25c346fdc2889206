"""T1w of a lumbar spine is brought to T2w."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinalprep.image import Image
from spinalprep.lumbar import alignment
from spinalprep.lumbar.alignment import align_t1w
from spinalprep.lumbar.structures import CANAL, Alignment
from spinalprep.phantom.lumbar import make_lumbar
from spinalprep.phantom.lumbar_scans import LumbarProtocol, LumbarScan, scan
from spinalprep.registration.coregister import Coregistration
from spinalprep.registration.transform import Affine

PROTOCOL = LumbarProtocol(slices=9, slice_mm=4.5, pixel_mm=1.2, low=(-80, -60), high=(60, 140))


@pytest.fixture(scope="module")
def scanned() -> LumbarScan:
    return scan(make_lumbar(120_301), PROTOCOL)


@pytest.mark.slow
def test_a_motion_that_headers_do_not_know_is_undone(scanned: LumbarScan) -> None:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", [3, 0, 2], degrees=True).as_matrix()
    motion[:3, 3] = 2.0, -5.0, 4.0
    t1w = Image(scanned.t1w.data, motion @ scanned.t1w.affine)
    aligned = align_t1w(t1w, scanned.t2w, scanned.structures)
    assert aligned.alignment == Alignment.REGISTERED
    assert aligned.image is not None
    corners = np.argwhere(scanned.structures.data == CANAL)[::200]
    corners = np.column_stack([corners, np.ones(len(corners))])
    away = (aligned.image.affine - scanned.t1w.affine) @ corners.T
    assert np.linalg.norm(away[:3], axis=0).max() < 1.2  # of 4.5 mm thick slices


@pytest.mark.slow
def test_right_headers_are_kept(scanned: LumbarScan) -> None:
    aligned = align_t1w(scanned.t1w, scanned.t2w, scanned.structures)
    assert aligned.alignment == Alignment.HEADERS
    assert aligned.image is scanned.t1w


@pytest.mark.slow
def test_noise_is_refused(scanned: LumbarScan) -> None:
    noise = np.random.default_rng(0).normal(100, 5, scanned.t1w.shape).astype(np.float32)
    aligned = align_t1w(scanned.t1w.with_data(noise), scanned.t2w, scanned.structures)
    assert (aligned.image, aligned.alignment) == (None, Alignment.REFUSED)


@pytest.mark.parametrize(
    ("before", "expected"), [(1.03, Alignment.HEADERS), (1.002, Alignment.REFUSED)]
)
def test_images_alike_by_their_headers_need_no_peak(
    scanned: LumbarScan, monkeypatch: pytest.MonkeyPatch, before: float, expected: Alignment
) -> None:
    still = Affine.identity()
    fit = Coregistration(still, still, before, before, accepted=False, peak=0.001)
    monkeypatch.setattr(alignment, "coregister", lambda *_: fit)
    assert align_t1w(scanned.t1w, scanned.t2w, scanned.structures).alignment == expected


def test_without_a_canal_headers_count(scanned: LumbarScan) -> None:
    nothing = scanned.structures.with_data(np.zeros_like(scanned.structures.data))
    aligned = align_t1w(scanned.t1w, scanned.t2w, nothing)
    assert aligned.alignment == Alignment.HEADERS
    assert np.isnan(aligned.gain)
