"""The stage of levels: detected where C2/C3 shows, None where nothing tells, a hint otherwise."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.files import write_centerline
from spinalprep.engine.events import Observer
from spinalprep.engine.run import RunOptions, run_sessions
from spinalprep.image import Image, load, save
from spinalprep.interfaces.levels import DiscNetworks
from spinalprep.levels.carry import Source
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels, read_sources, write_sources
from spinalprep.networks.cards import card_path, packaged_weights
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.images import render
from spinalprep.workflows.coregister import Contrast
from spinalprep.workflows.levels import (
    GivenLevels,
    OtherDiscs,
    OwnDiscs,
    SeenLevels,
    add_other_discs,
)
from spinalprep.workflows.measures import TemplateSlices
from spinalprep.workflows.stage import add_stage

PERSON = make_person(100_508)
TEMPLATE_Z = {n: -s for n, s in PERSON.disc_s.items()}


def stage(folder: Path, top: float, length: int, monkeypatch: Any, hint: str | None = None) -> Any:
    """Run the stages on an image from height ``top`` down."""
    monkeypatch.chdir(folder)
    points = PERSON.centerline.points
    points = points[(points[:, 2] <= top) & (points[:, 2] >= top - length)]
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = points[:, 0].mean() + 9, points[:, 1].mean() - 40, top - length + 0.5
    image = render(PERSON, "T2w", ((19, 88, length), affine), 1)
    cord = image.with_data(truth_cord(PERSON, image, 1) >= 0.5)
    mask = NiftiGz(save(cord, Path("c.nii.gz"), np.uint8))
    line = File(write_centerline(fit_centerline(points[::4]), Path("c.tsv")))
    weights = packaged_weights("discs")
    seen = {
        "image": NiftiGz(save(image, Path("image.nii.gz"))),
        "centerline": line,
        "template_z": TEMPLATE_Z,
        "weights": File(weights),
        "card": File(card_path(weights)),
    }
    if hint is not None:
        given = GivenLevels(cord=mask, hint=hint, **seen)
        return given(cache_root=folder / "cache", worker="debug")
    own = OwnDiscs(**seen)(cache_root=folder / "cache", worker="debug").sources
    return choose(folder, mask, line, own)


def choose(folder: Path, cord: NiftiGz, line: File, own: File, other: File | None = None) -> Any:
    task = SeenLevels(cord=cord, centerline=line, own=own, elsewhere=other)
    return task(cache_root=folder / "cache", worker="debug")


def sources(path: Path, **shifts: float) -> File:
    """Write images that are sure of their levels, each moved by some mm."""
    found = [
        Source(Levels({n: 20.0 * n - 50 + mm for n in range(3, 8)}, name, (), 0.999), 100.0)
        for name, mm in shifts.items()
    ]
    return File(write_sources(found, path))


def height(disc: float) -> float:
    return float(
        PERSON.centerline.at(np.interp(disc, *zip(*PERSON.disc_s.items(), strict=True)))[2]
    )


@pytest.mark.slow
def test_c2c3_in_view_gives_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stage(tmp_path, height(3) + 35, 140, monkeypatch)
    levels = read_levels(Path(found.levels.fspath))
    assert levels.source == "detected"
    assert levels.confidence >= 0.99
    vertebrae = load(found.vertebrae.fspath)
    for number in (3, 4, 5):
        k = np.argwhere(vertebrae.data == number)[:, 2]
        middle = k.mean() + vertebrae.affine[2, 3]
        assert middle == pytest.approx(height(number + 0.5), abs=1.5)


def test_nothing_is_written_where_nothing_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stage(tmp_path, height(5) + 6, 60, monkeypatch)
    assert (found.levels, found.vertebrae, found.discs, found.warnings) == (None, None, None, [])
    assert found.source == "unknown"
    path = tmp_path / "any.nii.gz"
    path.write_bytes(b"")
    files = dict.fromkeys(("forward", "template_cord", "template_levels"), NiftiGz.mock(str(path)))
    table = tmp_path / "table.tsv"
    table.write_text("slice\n1\n")
    moved = TemplateSlices(perslice=File(table), centerline=File(table), levels=None, **files)
    assert moved(cache_root=tmp_path / "cache", worker="debug").table is None


def test_a_hint_and_the_discs_that_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stage(tmp_path, height(5) + 6, 60, monkeypatch, f"C6@z={height(6.5) + 2:.1f}")
    levels = read_levels(Path(found.levels.fspath))
    assert levels.source == "hint+detected"
    assert not found.warnings
    labels = load(found.discs.fspath)
    for number in (6, 7):
        z = np.argwhere(labels.data == number)[0, 2] + labels.affine[2, 3]
        assert z == pytest.approx(height(number), abs=1.6)


def test_other_images_count_only_where_the_reference_is_not_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cord = Image(np.ones((3, 3, 80), np.uint8), np.eye(4))
    mask = NiftiGz(save(cord, Path("cord.nii.gz"), np.uint8))
    line = File(write_centerline(fit_centerline([[1, 1, 80.0], [1, 1, 0]]), Path("c.tsv")))
    nothing, own = sources(Path("none.json")), sources(Path("own.json"), own=0.0)
    two = sources(Path("two.json"), T2w=0.0, T1w=9.0)
    apart = sources(Path("apart.json"), T2w=0.0, T1w=11.0)
    assert choose(tmp_path, mask, line, nothing, two).source == "T1w"  # by name, if equally long
    assert choose(tmp_path, mask, line, own, apart).source == "own"
    unsure = choose(tmp_path, mask, line, nothing, apart)
    assert (unsure.levels, unsure.source) == (None, "unknown")
    assert "disagree" in unsure.warnings[0]


def test_nothing_is_looked_for_where_the_reference_is_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("no.pt").write_text("no network")
    path = Path("no.pt").absolute()
    nowhere = NiftiGz.mock(str(path))  # would fail if it were read
    task = OtherDiscs(
        image=nowhere,
        contrast="T2w",
        networks=DiscNetworks(*[File(path)] * 4),
        reference_line=File(path),
        own=sources(Path("own.json"), own=0.0),
        template_z={},
    )
    found = task(cache_root=tmp_path / "cache", worker="debug")
    assert (read_sources(Path(found.sources.fspath)), found.warnings) == ([], [])


NAMES = ("T1w", "T2w", "T2starw")  # of other contrasts, all sure of their levels


@workflow.define(outputs=["levels"])
def search_graph(image: NiftiGz, line: File, network: File) -> File:
    """Look for discs in the reference and in three other contrasts."""
    own = add_stage(
        stages.DISCS,
        OwnDiscs(image=image, centerline=line, template_z={}, weights=network, card=network),
    ).sources
    cord = stages.DrawnCord(cord=image, probability=image, centerline=line)
    others = {name: Contrast(image, None) for name in NAMES}
    elsewhere = add_other_discs(others, DiscNetworks(*[network] * 4), own, cord, {})
    task = SeenLevels(cord=image, centerline=line, own=own, elsewhere=elsewhere)
    return add_stage(stages.LEVELS, task).levels


class Outputs(Observer):
    """Keeps what the stages leave."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}

    def on_stage(self, session: str, stage: str, outputs: Any) -> None:
        self.of[stage] = outputs


def search(folder: Path, failing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the graph with searches that find what they are told to, or fail."""

    def elsewhere(image: Image, contrast: str, *_: Any) -> Any:
        if contrast in failing:
            raise ZeroDivisionError(contrast)
        found = Levels({n: 20.0 * n - 50 for n in range(3, 8)}, contrast, (), 0.999)
        return [Source(found, 100.0)], []

    def nothing(*_: Any) -> Levels:
        if "reference" in failing:
            raise ZeroDivisionError("reference")
        return Levels({})

    monkeypatch.chdir(folder)
    network = SimpleNamespace(card={"scale": 1.0})
    monkeypatch.setattr("spinalprep.networks.weights.load_model", lambda _: network)
    monkeypatch.setattr("spinalprep.levels.detect.find_discs", lambda *_: ())
    monkeypatch.setattr("spinalprep.levels.detect.weigh_signs", lambda *_: None)
    monkeypatch.setattr("spinalprep.levels.elsewhere.detect_elsewhere", elsewhere)
    monkeypatch.setattr("spinalprep.levels.number.levels_from_signs", nothing)
    cord = Image(np.ones((3, 3, 80), np.uint8), np.eye(4))
    image = NiftiGz(save(cord, Path("cord.nii.gz"), np.uint8))
    line = File(write_centerline(fit_centerline([[1, 1, 80.0], [1, 1, 0]]), Path("c.tsv")))
    task, outputs = search_graph(image=image, line=line, network=line), Outputs()
    options = RunOptions(n_procs=1, worker="debug", retries=0)
    result = run_sessions({"one": task}, lambda key: folder / "cache" / key, options, outputs)
    return result["one"], outputs.of


@pytest.mark.parametrize("failing", [(), ("T1w",), ("T2w",), ("T2starw",), ("T1w", "T2starw")])
def test_a_search_that_fails_costs_only_its_own_source(
    failing: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, outputs = search(tmp_path, failing, monkeypatch)
    assert {stage for stage, _, _ in result.failures} == {f"discs_{name}" for name in failing}
    joined = read_sources(Path(outputs["sources_T2starw"].sources.fspath))
    assert [one.levels.source for one in joined] == [name for name in NAMES if name not in failing]
    assert outputs["levels"].source == min(set(NAMES) - set(failing))


def test_other_images_count_where_the_search_in_the_reference_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, outputs = search(tmp_path, ("reference",), monkeypatch)
    assert [stage for stage, _, _ in result.failures] == ["discs"]
    assert outputs["levels"].source == "T1w"


def test_levels_are_not_unknown_where_every_search_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, outputs = search(tmp_path, ("reference", *NAMES), monkeypatch)
    assert "levels" not in outputs
    reason = {stage: failure.reason for stage, _, failure in result.failures}["levels"]
    assert reason.startswith("input: the search for discs failed")
