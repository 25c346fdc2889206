"""The cervical chain on a lumbar image: cord down to the conus, and none among the roots below."""

import numpy as np
import pytest

from spinalprep.api.segment import segment
from spinalprep.phantom.lumbar import make_lumbar
from spinalprep.phantom.lumbar_scans import LumbarProtocol, scan


@pytest.mark.slow
def test_no_cord_is_found_below_the_conus() -> None:
    """What is around the conus alone, at 1 mm: 56 mm of cord over 64 mm of cauda equina."""
    person = make_lumbar(123_022)
    conus = person.habitus.conus
    spine = LumbarProtocol(
        slices=38, slice_mm=1.0, pixel_mm=1.0, low=(-60, conus - 64), high=(60, conus + 56)
    )
    found = segment(scan(person, spine).t2w, lesions=False, views=1)
    z = found.cord.affine[2, 3] + np.flatnonzero(found.cord.data.any(axis=(0, 1)))
    assert z.max() - z.min() > 30
    assert z.min() > conus - 10
