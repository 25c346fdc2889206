"""Sketches of sections: which slice, which lesions, and where they are drawn."""

import base64
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.image import Image, to_world
from spinalprep.reports import planes, views
from spinalprep.reports.scenes import Scene
from spinalprep.reports.sketch import SIDE_MM, Atlas, section_sketches, sections_with_lesions

SHAPE = (60, 60, 20)
AFFINE = np.array([[-0.5, 0, 0, 15], [0, 0.5, 0, -15], [0, 0, 2, -20], [0, 0, 0, 1.0]])  # LAS
LEVELS = dict.fromkeys(range(10, 20), "C3") | dict.fromkeys(range(10), "C4")


def mask(*parts: tuple[slice, slice, slice, float]) -> Image:
    data = np.zeros(SHAPE, np.float32)
    for x, y, z, value in parts:
        data[x, y, z] = value
    return Image(data, AFFINE)


@pytest.fixture
def scene() -> Scene:
    cord = mask((slice(18, 42), slice(22, 38), slice(None), 1))
    points = to_world(np.array([[29.5, 29.5, k] for k in range(20)]), AFFINE)
    return Scene(cord, points, views.Window(0, 1), {"cord": cord}, LEVELS)


@pytest.fixture
def lesions() -> Image:
    """Lesion 1 at the left in C3, widest in slice 15; lesion 2 in front in both levels."""
    return mask(
        (slice(34, 38), slice(28, 32), slice(14, 17), 1),
        (slice(33, 39), slice(26, 34), slice(15, 16), 1),
        (slice(28, 32), slice(34, 37), slice(8, 12), 2),
    )


def drawing(picture: str) -> str:
    return base64.b64decode(picture.partition(",")[2]).decode()


def extent(svg: str, style: str) -> tuple[float, float, float, float]:
    """Return the box of the outlines of a style: from the left, and from the top, mm."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*{re.escape(style)}', svg)
    points = np.array(
        [p.split() for path in found for p in re.findall(r"[\d.]+ [\d.]+", path)], float
    )
    return (*points.min(axis=0), *points.max(axis=0))


def test_a_section_per_level_where_lesions_are_largest(scene: Scene, lesions: Image) -> None:
    course = planes.course_through(scene.image, scene.points)
    upper, lower = sections_with_lesions(scene, course, lesions)
    assert (upper.level, upper.lesions, course.slices[upper.n]) == ("C3", (1, 2), 15)
    assert upper.slices == (16, 15, 14, 11, 10)
    assert (lower.level, lower.lesions) == ("C4", (2,))


def test_lesions_are_drawn_where_they_are(scene: Scene, lesions: Image) -> None:
    upper, lower = section_sketches(scene, lesions, None)
    assert upper.caption == "C3: lesions 1, 2 · slice 15 · z 10.0 mm"
    filled = extent(drawing(upper.pictures[0]), 'fill-opacity="0.6"')
    # 6 x 8 voxels of 0.5 mm whose middle is 3 mm to the left of the centerline
    assert (filled[0] + filled[2]) / 2 == pytest.approx(SIDE_MM / 2 + 3.0, abs=0.15)
    assert filled[2] - filled[0] == pytest.approx(3.0, abs=0.4)
    assert (filled[1] + filled[3]) / 2 == pytest.approx(SIDE_MM / 2, abs=0.15)
    dashed = extent(drawing(lower.pictures[0]), "stroke-dasharray")
    assert dashed[3] < SIDE_MM / 2 - 1.5  # in front is above


def test_without_levels_there_is_one_per_lesion(scene: Scene, lesions: Image) -> None:
    bare = Scene(scene.image, scene.points, scene.window, scene.masks)
    shown = section_sketches(bare, lesions, None)
    assert [view.caption.partition(" ·")[0] for view in shown] == [
        "level unknown: lesion 1",
        "level unknown: lesion 2",
    ]


def test_grey_matter_and_tracts_come_from_the_atlas(
    scene: Scene, lesions: Image, tmp_path: Path
) -> None:
    names = ["WM left fasciculus gracilis", "WM right lateral corticospinal tract", "GM left horn"]
    data = np.zeros((*SHAPE, 3), np.float32)
    data[30:33, 22:26, :, 0] = 1
    data[20:24, 26:30, :, 1] = 1
    data[31:35, 30:34, 14:17, 2] = 1
    path = tmp_path / "atlas.nii.gz"
    nib.save(nib.Nifti1Image(data, AFFINE), path)
    assert Atlas.read(path) is None  # without names nothing can be said
    told = {"LabelMap": {str(n): name for n, name in enumerate(names)}}
    path.with_suffix("").with_suffix(".json").write_text(json.dumps(told))
    upper, lower = (
        drawing(v.pictures[0]) for v in section_sketches(scene, lesions, Atlas.read(path))
    )
    grey = extent(upper, 'fill="#cfd5dc"')
    assert (grey[0] + grey[2]) / 2 == pytest.approx(SIDE_MM / 2 + 1.5, abs=0.2)
    assert 'fill="#cfd5dc"' not in lower  # none in that slice
    assert re.findall(r">(DC|CST|STT)<", upper) == ["DC", "CST"]
    right = extent(upper, 'stroke="#7b8590"')
    assert right[0] < SIDE_MM / 2 - 3  # the right tract is at the left
