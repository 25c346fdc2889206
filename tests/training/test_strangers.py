"""What is special about people of the development data is said in its description alone."""

import ast
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, save
from spinalprep.training.card import Taught, make_card
from spinalprep.training.fitting.loop import Progress
from spinalprep.training.material import dataset as module
from spinalprep.training.material import necks
from spinalprep.training.material.dataset import described_dataset, user_dataset
from spinalprep.training.material.people import Kind, people_of_fold
from spinalprep.training.material.slices import Slices
from spinalprep.training.material.volume import LabelledVolume
from spinalprep.training.options import RunOptions
from spinalprep.training.packaged import packaged_datasets
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.tasks import TASKS, slices, straightened
from spinalprep.training.train import split

SPECIAL = ("10062Ses1", "10062Ses2", "9709Ses1", "PAM50", "lumbar", "mt", "phantom", "unf01")
ORDINARY = tuple(f"person{n}" for n in range(len(SPECIAL)))  # in the same order
AFFINE = np.diag([-0.8, 0.8, 2.0, 1.0])


def neck(seed: int) -> tuple[Image, Image]:
    """A dark cord in bright fluid, and the cord."""
    chance = np.random.default_rng(seed)
    i, j = np.mgrid[:60, :60] - 29.5
    cord = np.repeat((np.hypot(i, j) <= 5 + 0.2 * seed)[..., None], 8, axis=2)
    fluid = np.repeat((np.hypot(i, j) <= 9)[..., None], 8, axis=2)
    image = np.where(cord, 0.4, np.where(fluid, 1.0, 0.2)) + chance.normal(0, 0.02, cord.shape)
    return Image(image.astype(np.float32), AFFINE), Image(cord.astype(np.float32), AFFINE)


def write(home: Path, people: tuple[str, ...]) -> Path:
    """Write a dataset of as many necks, always the same ones."""
    for seed, name in enumerate(people):
        image, cord = neck(seed)
        place = Path(f"sub-{name}") / "anat"
        labels = home / "derivatives" / "labels" / place
        for folder in (home / place, labels):
            folder.mkdir(parents=True)
        save(image, home / place / f"sub-{name}_T2w.nii.gz")
        save(cord, labels / f"sub-{name}_T2w_seg-manual.nii.gz")
    return home


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """One small synthetic subject, of the name that all of them have."""

    def digital(_: int) -> Iterator[LabelledVolume]:
        image, cord = neck(20)
        none = cord.with_data(cord.data * 0)
        yield LabelledVolume("phantom", image, cord, none, kind=Kind.DIGITAL, lesion_free=True)

    for user in (slices, straightened):
        monkeypatch.setattr(user, "digital_volumes", digital)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("centerline", "cord3d")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cord", "lesion", *SLOW])
def test_a_dataset_with_the_labels_of_the_development_data_is_as_any_other(
    name: str, tmp_path: Path
) -> None:
    task = task_of(replace(find_recipe(name), batch=2))
    ours, others = (
        task.read(user_dataset(write(tmp_path / folder, people)))
        for folder, people in (("special", SPECIAL), ("ordinary", ORDINARY))
    )
    assert (ours.people, others.people) == (SPECIAL, ORDINARY)
    assert ours.people_in_folds == SPECIAL
    assert [who.kind for who in ours.owners()] == [who.kind for who in others.owners()]
    if isinstance(ours, Slices):
        for field in fields(Slices):
            if field.name != "person":
                same = getattr(ours, field.name), getattr(others, field.name)
                np.testing.assert_array_equal(*same)
        assert not ours.loose_masks.any()
    for n, step in ((0, 0), (0, 1), (3, 0)):  # all, and without three, among them a template's name
        left = ours.without(SPECIAL[n : n + n]), others.without(ORDINARY[n : n + n])
        batches = [task.draw(part, 1, step) for part in left]
        for field in fields(batches[0]):
            assert torch.equal(*(getattr(batch, field.name) for batch in batches))


def test_everybody_is_in_a_fold_and_may_be_left_out(tmp_path: Path) -> None:
    task = task_of(find_recipe("cord"))
    whole = task.read(user_dataset(write(tmp_path, SPECIAL)))
    folds = [people_of_fold(whole.people_in_folds, k, 4) for k in (1, 2, 3, 4)]
    assert sorted(name for fold in folds for name in fold) == sorted(SPECIAL)
    parts = split(task, whole, RunOptions(leave_out=("phantom",), validate=("PAM50",)))
    assert not {"phantom", "PAM50"} & set(parts.taught.people)
    assert parts.taught.of_kind(Kind.DIGITAL).any()  # of the same name, and nobody
    assert parts.watched is not None
    assert [tuple(who) for who in set(parts.watched.owners())] == [("PAM50", "person")]


def test_a_description_says_what_is_special(tmp_path: Path) -> None:
    write(tmp_path / "data", ("a1", "a2", "b", "unf01"))
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nbids_dir = "data"\nlesion_free = true\n'
        '[participants.a1]\nperson = "a"\n[participants.a2]\nperson = "a"\n'
        "[participants.b]\nloose_masks = true\n"
        '[participants.b.canal]\nimage = "sub-b_T2w.nii.gz"\n'
        "points_mm = [[-23, 23, 9], [-23, 23, 1]]\n"
    )
    material = task_of(find_recipe("cord")).read(described_dataset(str(path), tmp_path))
    assert isinstance(material, Slices)
    assert material.people == ("a", "b", "unf01")
    assert set(material.person[material.loose_masks].tolist()) == {"b"}
    assert material.has_lesion.all()
    canal = (material.person == "b") & ~material.cord.any(axis=(1, 2))
    assert canal.sum() == 2  # every fourth slice of 2 mm, from the lowest to 9 mm
    assert material.has_cord[canal].all()


def test_datasets_are_taught_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(necks, "SEEN_MM", 10.0)  # these are 16 mm long
    write(tmp_path / "one", ("a", "b1"))
    write(tmp_path / "two", ("b", "c"))
    (tmp_path / "two.toml").write_text('name = "two"\nbids_dir = "two"\nsources = "site 2"\n')
    path = tmp_path / "one.toml"
    path.write_text(
        f'name = "one"\nbids_dir = "one"\nsources = "site 1"\nbeside = "{tmp_path}/two.toml"\n'
        '[participants.b1]\nperson = "b"\n'
    )
    dataset = described_dataset(str(path), tmp_path)
    assert task_of(find_recipe("cord")).read(dataset).people == ("a", "b", "c")
    task = task_of(replace(find_recipe("tumor"), digital_people=1))
    material = task.read(dataset)
    parts = split(task, material, RunOptions(leave_out=("b",)))  # the same person at both sites
    assert material.people == ("a", "b", "c")
    assert parts.taught.people == ("a", "c")
    card = make_card(task, Taught(dataset, parts.taught, (), ("b",)), Progress(1, 1, 1.0), 0)
    assert (card["data"]["datasets"], card["data"]["sources"]) == (["one", "two"], "site 1; site 2")


def test_a_dataset_is_not_taught_beside_itself(tmp_path: Path) -> None:
    write(tmp_path / "data", ("a",))
    names = [str(tmp_path / name) for name in ("one.toml", "two.toml")]
    for name, other in (names, names[::-1]):
        Path(name).write_text(f'bids_dir = "data"\nbeside = "{other}"\n')
    with pytest.raises(UsageError, match=r"one\.toml: is taught beside itself"):
        described_dataset(names[0], tmp_path)
    Path(names[1]).write_text('bids_dir = "data"\nbeside = 3\n')
    with pytest.raises(UsageError, match=r"two\.toml: beside: expected the name"):
        described_dataset(names[0], tmp_path)


def test_a_description_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('bids_dir = "data"\n[participants.a]\nloose = true\n')
    with pytest.raises(UsageError, match=r"loose.*participants"):
        described_dataset(str(path), tmp_path)
    with pytest.raises(UsageError, match="expected development"):
        described_dataset("unknown", tmp_path)
    with pytest.raises(InputError, match="data/bids-dev is missing"):
        described_dataset("development", tmp_path)


def test_no_code_names_a_participant_of_a_described_dataset() -> None:
    named = set()
    for path in packaged_datasets().values():
        dataset, _ = module._described(path)
        named |= set(dataset.participants) | set(dataset.persons.values())
    assert {"unf01", "10062", "lumbar"} <= named
    named -= {*TASKS, "t2"}  # networks and a contrast of PAM50: no participants
    spec = find_spec("spinalprep.training")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for path in Path(spec.submodule_search_locations[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = {node.value, node.value.removeprefix("sub-")}
                assert not words & named, (path, node.lineno)
