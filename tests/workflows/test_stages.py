"""The graph makes what the stages promise, and every stage has a writer."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.app.graph_inputs import NETWORKS
from spinalprep.derivatives.publish import WRITERS
from spinalprep.engine.graph import StageTask, stages_of
from spinalprep.stages import STAGES, Node
from spinalprep.workflows.cord import WeightFile, Weights
from spinalprep.workflows.lesions import OtherLesions
from spinalprep.workflows.lumbar import LumbarSearch
from spinalprep.workflows.metrics import Maps
from spinalprep.workflows.participant import Parameters, Participant, TemplateFiles
from spinalprep.workflows.tumor import TumorSearch


def test_every_stage_has_a_writer() -> None:
    assert set(WRITERS) == set(STAGES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "any.nii.gz"
    path.write_bytes(b"")
    return path


def graph(
    file: Path, labels: tuple[str, ...], parameters: Parameters, template: bool
) -> dict[str, StageTask]:
    """Return the stages of a graph whose files are all empty."""
    any_file, image = File(file), NiftiGz.mock(str(file))
    weights = Weights(**dict.fromkeys(NETWORKS, WeightFile(any_file, any_file)))
    model = TemplateFiles("Generic", image, {3: 0.0}, image, image, image, any_file)
    maps = Maps({"FA": any_file}, {"FA": "T1w"}, ("", "MTSmtoff"))
    task = Participant(
        reference=any_file,
        contrasts={"T1w": any_file, "MTSmtoff": any_file},
        labels=dict.fromkeys(labels, any_file),
        weights=weights,
        template=model if template else None,
        parameters=parameters,
        maps=maps,
    )
    return {stage.name: stage for stage in stages_of(task)}


def names(file: Path, labels: tuple[str, ...], parameters: Parameters, template: bool) -> set[str]:
    """Return the names of the stages."""
    return set(graph(file, labels, parameters, template))


def test_the_graph_has_all_stages_and_no_other(file: Path) -> None:
    everything = Parameters(
        shows_gm=True,
        spaces=("reference", "template", "T1w"),
        tumor=TumorSearch("", "T1w"),
        lumbar=LumbarSearch("", "T1w"),
        other_lesions=OtherLesions(("T1w", "MTSmtoff"), "T2w", "union"),
    )
    found = names(file, ("cord", "gm", "lesion"), everything, template=True)
    assert {Node.named(name).stage for name in found} == set(STAGES)
    assert {"discs", "discs_T1w", "discs_MTSmtoff", "sources_MTSmtoff"} <= found
    assert {"preprocess", "preprocess_T1w", "coregister_MTSmtoff", "masks_T1w"} <= found
    assert {"mtr", "metric_FA", "metric_MTR"} <= found
    assert "masks_MTSmtoff" not in found


def test_what_is_left_out_is_not_there(file: Path) -> None:
    little = Parameters(coreg=False, template=False, lesion=False)
    assert names(file, (), little, template=False) == {
        *("preprocess", "preprocess_T1w", "preprocess_MTSmtoff"),
        *("automatic", "centerline", "levels", "shape", "mtr", "metric_FA", "metric_MTR"),
        *("discs", "discs_T1w", "discs_MTSmtoff", "sources_MTSmtoff"),
    }


@pytest.mark.parametrize("given", ["label", "hint"])
def test_nobody_looks_for_levels_that_a_person_gave(file: Path, given: str) -> None:
    hint = Parameters(level_hint="C3@z=1" if given == "hint" else None)
    found = names(file, ("discs",) if given == "label" else (), hint, template=False)
    assert "levels" in found
    assert not any(name.startswith("discs") for name in found)


def test_levels_go_on_without_a_contrast_that_fails(file: Path) -> None:
    stages = graph(file, (), Parameters(), template=False)
    levels, joined, last = (stages[n] for n in ("levels", "sources_MTSmtoff", "discs_MTSmtoff"))
    assert levels.spared == {"discs", "sources_MTSmtoff"}
    assert (joined.spared, joined.upstream) == ({"discs_T1w", "discs_MTSmtoff"}, set())
    assert last.spared == {"discs", "preprocess_MTSmtoff", "coregister_MTSmtoff"}
    assert stages["shape"].spared == set()
    left = SimpleNamespace(sources=File(file), cord=NiftiGz.mock(str(file)), centerline=File(file))
    outputs = dict.fromkeys(levels.upstream, left)
    assert levels.resolved(outputs).elsewhere is None
    assert levels.resolved(outputs | {"sources_MTSmtoff": left}).elsewhere == File(file)


def test_lesions_of_the_reference_go_on_without_an_image_that_fails(file: Path) -> None:
    joined = Parameters(other_lesions=OtherLesions(("T1w", "MTSmtoff"), "T2w", "union"))
    stages = graph(file, (), joined, template=False)
    assert {"lesionsearch_T1w", "lesionsearch_MTSmtoff", "lesionjoin_MTSmtoff"} <= set(stages)
    assert stages["lesion"].spared == {"lesionjoin_MTSmtoff"}
    assert stages["lesionjoin_MTSmtoff"].spared == {
        "lesionsearch_T1w",
        "lesionsearch_MTSmtoff",
    }
    assert "coregister_T1w" in stages["lesionsearch_T1w"].upstream
    alone = graph(file, (), Parameters(), template=False)
    assert not any(name.startswith(("lesionsearch", "lesionjoin")) for name in alone)
    assert alone["lesion"].spared == set()


def test_what_a_drawn_cord_can_do_without(file: Path) -> None:
    everything = Parameters(shows_gm=True, spaces=("reference", "template", "T1w"))
    found = graph(file, ("cord",), everything, template=True)
    for name in ("shape", "template", "metric_FA"):
        assert found[name].spared == {"automatic"}  # its gray matter
        assert "automatic" not in found[name].upstream
    assert found["masks_T1w"].spared == {"lesion"}
    assert "automatic" in graph(file, (), everything, template=True)["shape"].upstream
