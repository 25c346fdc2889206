"""From an image to the cord, and to the centerline in its middle."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinalprep.cord.centerline import Centerline, centerline_from_mask, rasterise
from spinalprep.cord.files import read_centerline
from spinalprep.image import Image, grid_points, load, save
from spinalprep.lesion.instances import lesion_instances
from spinalprep.networks.cards import card_path, packaged_weights
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import Person, make_person
from spinalprep.phantom.images import render
from spinalprep.settings import Settings
from spinalprep.workflows.cord import AutomaticCord, CordWeights, ManualCord, WeightFile, Weights

SEED = 100001  # a person for tests: no network was taught with it


@pytest.fixture(scope="module")
def person() -> Person:
    return make_person(SEED)


@pytest.fixture(scope="module")
def scan(person: Person, tmp_path_factory: pytest.TempPathFactory) -> Path:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = [28.0, -40.0, -24.0]
    image = render(person, "T2w", ((56, 80, 24), affine), SEED)
    return Path(save(image, tmp_path_factory.mktemp("scan") / "T2w.nii.gz"))


def find_cord_by_graph(
    scan: Path,
    cache: Path,
    centerline: Path | None = None,
    more: tuple[str, ...] = (),
    at_edge: bool = False,
) -> Any:
    names = ("centerline", "cord", *more)
    files = {
        name: WeightFile(path, card_path(path))
        for name, path in zip(names, map(packaged_weights, names), strict=True)
    }
    graph = AutomaticCord(
        image=scan,
        networks=CordWeights(**files),
        centerline_label=centerline,
        at_edge=at_edge,
    )
    return graph(cache_root=cache, worker="debug")


def test_graph_and_library_call_networks_by_the_same_names() -> None:
    names = [field.name for field in fields(CordWeights)]
    assert names == [field.name for field in fields(Networks)]
    assert set(names) < {field.name for field in fields(Weights)}


@pytest.mark.slow
def test_found_centerline_runs_through_the_middle_of_the_cord(
    person: Person, scan: Path, tmp_path: Path
) -> None:
    found = find_cord_by_graph(scan, tmp_path)
    line = read_centerline(Path(found.centerline))
    middle = centerline_from_mask(load(Path(found.cord)))
    np.testing.assert_allclose(line.points, middle.points, atol=1e-4)
    assert line.length == pytest.approx(46.0, abs=3.0)
    _, right, front = person.centerline.project(line.points).T
    assert np.hypot(right, front).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("drawn", "at_edge"), [(False, False), (True, True)])
def test_graph_and_library_give_the_same_bits(
    person: Person, scan: Path, tmp_path: Path, drawn: bool, at_edge: bool
) -> None:
    image, label, line = load(scan), None, None
    if drawn:
        mask = image.with_data(rasterise(person.centerline, image))
        label = save(mask, tmp_path / "drawn.nii.gz", np.uint8)
        line = centerline_from_mask(mask).as_saved()
    more = ("gm", "lesion")
    graph = find_cord_by_graph(scan, tmp_path / "cache", label, more, at_edge)
    models = {name: load_model(name) for name in ("centerline", "cord", "gm", "lesion")}
    found = find_cord(image, Networks(**models), line, at_edge=at_edge)
    for name in ("cord", "probability", "gm", "lesion", "uncertainty"):
        file, here = load(getattr(graph, name)), getattr(found, name)
        assert here.data.max() > 0
        np.testing.assert_array_equal(file.data, here.data)
        np.testing.assert_array_equal(file.affine, here.affine)
    points = read_centerline(Path(graph.centerline)).points
    np.testing.assert_array_equal(points, found.centerline.points)
    told = graph.confidence, graph.warnings, graph.unseen, graph.doubtful, graph.moved
    own = found.confidence, found.warnings, found.unseen, found.doubtful, found.moved
    assert told == own
    assert (found.moved is not None) == at_edge


@pytest.mark.slow
def test_drawn_centerline_stays_where_it_was_drawn(
    person: Person, scan: Path, tmp_path: Path
) -> None:
    image = load(scan)
    aside = Centerline(person.centerline.points + np.array([2.0, 0.0, 0.0]))
    drawn = save(
        Image(rasterise(aside, image).astype(np.float32), image.affine),
        tmp_path / "drawn.nii.gz",
        np.uint8,
    )
    found = find_cord_by_graph(scan, tmp_path / "cache", Path(drawn))
    _, right, front = person.centerline.project(read_centerline(found.centerline).points).T
    assert abs(right.mean() - 2.0) < 0.3
    assert abs(front.mean()) < 0.3


@pytest.mark.slow
def test_a_lesion_is_found_where_it_is_and_nowhere_else(
    person: Person, scan: Path, tmp_path: Path
) -> None:
    image = load(scan)
    points = grid_points(image.shape, image.affine)
    middle = person.centerline.at(np.array([person.centerline.project(points[28, 40, 12])[0]]))[0]
    far = np.linalg.norm((points - middle - [2.0, -1.5, 0.0]) / [1.0, 1.0, 2.0], axis=-1)
    fluid, cord = np.percentile(image.data, 99), float(np.median(image.data[far < 3]))
    blob = np.exp2(-((far / 2.0) ** 2))  # half of the step at 2 mm, 4 mm along the cord
    lesion = image.with_data((image.data + 0.7 * (fluid - cord) * blob).astype(np.float32))
    path = Path(save(lesion, tmp_path / "T2w.nii.gz"))

    def called(path: Path, cache: Path) -> np.ndarray:
        found = find_cord_by_graph(path, cache, more=("lesion",))
        return lesion_instances(load(found.lesion), load(found.cord), Settings.lesion_threshold)

    labels = called(path, tmp_path / "with")
    assert labels.max() == 1
    assert (labels[blob > 0.8] == 1).mean() > 0.7
    assert (blob[labels == 1] > 0.1).mean() > 0.8
    assert called(scan, tmp_path / "without").max() == 0


def test_holes_of_a_drawn_cord_are_filled_and_that_is_said(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    drawn = np.zeros((20, 20, 6), np.float32)
    drawn[6:15, 6:13] = 1.0
    image = save(Image(drawn + 1, affine), tmp_path / "T2w.nii.gz")
    drawn[9:11, 9:11, 2:4] = 0.0
    label = save(Image(drawn, affine), tmp_path / "label.nii.gz")
    found: Any = ManualCord(image=image, label=label)(cache_root=tmp_path / "c", worker="debug")
    assert (load(Path(found.cord)).data > 0).sum() == 9 * 7 * 6
    assert len(found.warnings) == 1
    assert "8 voxels in slices 2 to 3" in found.warnings[0]


@pytest.mark.parametrize("stored", ["binary 2", "classes", "shares of 255"])
def test_what_a_drawn_cord_is_published_as(tmp_path: Path, stored: str) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    cord = np.zeros((20, 20, 6), np.float32)
    cord[6:15, 6:13] = 1.0
    image = save(Image(cord + 1, affine), tmp_path / "T2w.nii.gz")
    around = np.zeros_like(cord)
    around[4:17, 4:15] = 1.0
    ways = {
        "binary 2": (2 * cord, None),
        "classes": (3 * around - 2 * cord, 1),  # the canal is 3
        "shares of 255": (63.75 * around + 191.25 * cord, None),
    }
    data, value = ways[stored]
    label = save(Image(data, affine), tmp_path / "label.nii.gz")
    task = ManualCord(image=image, label=label, value=value)
    found: Any = task(cache_root=tmp_path / "c", worker="debug")
    np.testing.assert_array_equal(load(Path(found.cord)).data, cord)
    soft = load(Path(found.probability)).data
    assert soft.max() == 1
    assert (soft > 0).sum() == (around if stored == "shares of 255" else cord).sum()
