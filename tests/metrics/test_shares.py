"""What voxels are made of where there is an atlas, gray matter, or neither."""

import numpy as np
import pytest

from spinalprep.image import Image
from spinalprep.metrics.estimate import measure_metric
from spinalprep.metrics.shares import atlas_shares, tissue_shares


def test_grey_matter_that_was_seen_in_some_slices_counts_there() -> None:
    cord = Image(np.ones((4, 4, 3), np.uint8), np.eye(4))
    grey = np.zeros((4, 4, 3), np.float32)
    grey[1:3, 1:3, :2] = 1.0
    values = np.where(grey > 0, 50.0, 30.0)
    values[:, :, 2] = 90.0
    table = measure_metric(values.ravel(), tissue_shares(cord, cord.with_data(grey)), None, 1.0)
    table = table.set_index("region")
    assert table["voxels"].to_dict() == {"cord": 48, "white matter": 24, "gray matter": 8}
    assert table["metric_ml"]["white matter"] == pytest.approx(30.0)
    assert table["metric_wa"]["gray matter"] == pytest.approx(50.0)
    assert table["metric_median"]["cord"] == 40.0
    none = measure_metric(values.ravel(), tissue_shares(cord), None, 1.0)
    assert list(none["region"]) == ["cord"]


def test_the_atlas_s_fluid_is_no_region() -> None:
    names = ["WM left a", "GM right b", "CSF contour", "WM left c"]
    combined = {"white matter": (0,), "gray matter": (1,)}
    made = atlas_shares(np.zeros((1, 4), np.float32), names, combined)
    assert made.fluid == (2,)
    assert made.clusters == ((0,), (1,), (3,), (2,))
    assert all(2 not in region.members for region in made.regions)
