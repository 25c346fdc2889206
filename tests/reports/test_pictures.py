"""What the plots and views of the report show."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from matplotlib.image import imread
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, to_world
from spinalprep.reports import planes, scenes, views
from spinalprep.reports.flat import whole_views
from spinalprep.reports.pictures import area_plot, doubtful_spans
from spinalprep.reports.scenes import Scene

SHAPE = (60, 64, 20)
AFFINE = np.array([[-1.0, 0, 0, 30], [0, 1, 0, -32], [0, 0, 2, -20], [0, 0, 0, 1]])  # LAS


def scene(data: np.ndarray, affine: np.ndarray = AFFINE, **more: object) -> Scene:
    """Return an image around a straight cord through the voxels (30, 32)."""
    ends = to_world(np.array([[30.0, 32, k] for k in range(data.shape[2])]), affine)
    image = Image(data.astype(np.float32), affine)
    return Scene(image, ends, views.Window(0.0, 1.0), **more)  # type: ignore[arg-type]


def pixels(picture: str) -> np.ndarray:
    """Return a picture's gray values, the first row at the top."""
    png = imread(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    return png if png.ndim == 2 else png[..., 0]


def bright(picture: str) -> tuple[float, float]:
    """Return where a picture is bright: across from the left, down from the top, 0 to 1."""
    rows, columns = np.nonzero(pixels(picture) > 0.5)
    height, width = pixels(picture).shape[:2]
    return columns.mean() / width, rows.mean() / height


def corners(svg: Markup) -> np.ndarray:
    """Return the points of all outlines of a view, mm from its upper left corner."""
    found = re.findall(r'class="line" d="M([^"]*)Z"', svg)
    points = [pair.split() for path in found for pair in re.split(r" L|ZM", path)]
    return np.array(points, float)


def test_axial_views_are_radiological() -> None:
    data = np.zeros(SHAPE)
    data[20:24, 40:44] = 1.0  # 8 mm to the patient's right, 10 mm in front
    tile = scenes.axial_tiles(scene(data))[0]
    x, y = bright(tile.pictures[0])
    assert x == pytest.approx(0.5 - 8.0 / 40, abs=0.02)
    assert y == pytest.approx(0.5 - 9.5 / 40, abs=0.02)
    assert re.findall(r">([RLAP])</text>", tile.svg) == ["R", "L", "A", "P"]


def test_planes_along_the_cord_have_the_front_and_the_right_on_the_left() -> None:
    data = np.zeros(SHAPE)
    data[20:24, 29:36, 15:] = 1.0  # to the right, in the middle, in the upper quarter
    data[27:34, 42:46, 15:] = 1.0  # in front
    sagittal, coronal = scenes.overview(scene(data))
    for view in (sagittal, coronal):
        x, y = bright(view.pictures[0])
        assert x < 0.45
        assert y == pytest.approx(1 / 8, abs=0.03)
    assert re.findall(r">([A-Z])</text>", sagittal.svg)[-4:] == ["A", "P", "S", "I"]
    assert re.findall(r">([A-Z])</text>", coronal.svg)[-4:] == ["R", "L", "S", "I"]


def test_the_bar_is_10_mm_and_every_view_has_one() -> None:
    here = scene(np.ones(SHAPE), masks={"cord": Image(np.ones(SHAPE, np.float32), AFFINE)})
    lesions = np.zeros(SHAPE)
    lesions[30, 32, 8:12] = 1
    planes_of_lesion = scenes.lesion_views(here, Image(lesions, AFFINE), "x")[0][1]
    shown = [*scenes.axial_tiles(here), *scenes.overview(here), *planes_of_lesion]
    shown += whole_views(here.image)
    for view in shown:
        assert re.search(r'class="bar" d="M[\d.]+ [\d.]+h10"', view.svg), view.caption
        assert f'viewBox="0 0 {view.width_mm:g} {view.height_mm:g}"' in view.svg


def test_the_outline_of_a_disc_is_a_circle() -> None:
    i, j, _ = np.indices(SHAPE)
    disc = ((i - 30) ** 2 + (j - 32) ** 2 <= 6.0**2).astype(np.float32)
    tile = scenes.axial_tiles(scene(disc, masks={"cord": Image(disc, AFFINE)}))[5]
    radius = np.linalg.norm(corners(tile.svg) - 20.0, axis=1)
    assert np.sqrt(disc[:, :, 5].sum() / np.pi) == pytest.approx(radius.mean(), abs=0.2)
    assert radius.std() < 0.25  # the corners of the voxels stand out by 0.4 mm


def test_thick_slices_of_a_tilted_cord_have_no_stairs() -> None:
    affine = np.diag([-1.0, 1.0, 5.0, 1.0])
    data = np.zeros((40, 80, 8), np.float32)
    middle = 20 + 4 * np.arange(8)  # 4 mm to the front in every slice of 5 mm
    for k, j in enumerate(middle):
        data[16:25, j - 4 : j + 5, k] = 1.0
    points = to_world(np.array([[20.0, j, k] for k, j in enumerate(middle)]), affine)
    mask = Image(data, affine)
    course = planes.course_through(mask, points)
    plane = planes.along(mask, course, "sagittal", 10.0)
    inside = plane[:, 10:-10] > 0.5
    assert np.ptp(inside.sum(axis=0)) == 0
    assert (inside == inside[:, :1]).all()


def test_a_course_follows_the_slices_of_an_oblique_image() -> None:
    affine = AFFINE.copy()
    turn = Rotation.from_euler("xyz", [20, -10, 5], degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    points = to_world(np.array([[25.0, 10 + 0.5 * k, k] for k in np.linspace(2, 9, 40)]), affine)
    course = planes.course_through(Image(np.zeros(SHAPE, np.float32), affine), points)
    assert course.slices.tolist() == list(range(2, 10))
    expected = to_world(np.array([[25.0, 10 + 0.5 * k, k] for k in range(2, 10)]), affine)
    np.testing.assert_allclose(course.centres, expected, atol=1e-9)


def test_grey_values_are_chosen_for_cord_and_fluid() -> None:
    cord = np.zeros(SHAPE, np.float32)
    cord[27:34, 29:36] = 1.0
    data = np.full(SHAPE, 1000.0, np.float32)  # fat, far away
    data[15:46, 17:48] = 100.0
    data[27:34, 29:36] = 40.0
    window = views.window_around(Image(data, AFFINE), Image(cord, AFFINE))
    assert window == views.Window(40.0, 100.0)


def test_what_tables_say_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    here = scene(np.ones(SHAPE), levels=dict.fromkeys(range(20), hostile), discs={hostile: 0.0})
    assert all("<script" not in view.svg + view.html for view in scenes.overview(here))
    assert all("<script" not in view.html for view in scenes.axial_tiles(here))


def test_a_small_lesion_keeps_its_outline() -> None:
    lesion = np.zeros(SHAPE, np.float32)
    lesion[30, 32, 10] = 1.0
    tile = scenes.axial_tiles(scene(lesion, masks={"lesion": Image(lesion, AFFINE)}))
    assert sum('class="line"' in view.svg for view in tile) == 1


def test_doubtful_slices_are_marked_in_every_picture_and_only_they() -> None:
    z = 2.0 * np.arange(20)[::-1]
    table = pd.DataFrame({"slice": range(19, -1, -1), "z_mm": z, "length_mm": 2.0})
    table = table.assign(complete=True, area_mm2=80.0, diameter_ap_mm=8.0, diameter_rl_mm=12.0)
    table["vertebral_level"] = "C3"
    sure, ends = (
        table.assign(doubtful=False),
        table.assign(doubtful=table["slice"].isin([0, 1, 19])),
    )
    assert doubtful_spans(sure) == []
    assert doubtful_spans(ends) == [(-1.0, 3.0), (37.0, 39.0)]
    assert area_plot(sure) != area_plot(ends)
    unsure = scene(np.ones(SHAPE), doubtful=[0, 1, 19])
    tiles = scenes.axial_tiles(unsure)
    assert [view.caption.split(" ")[0] for view in tiles if view.doubtful] == ["19", "1", "0"]
    hatches = [view.svg.count(f'stroke="{views.DOUBT}"') for view in scenes.overview(unsure)]
    assert hatches == [2, 2]  # slices 0 and 1 together
