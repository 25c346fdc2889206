"""A pickle names a task, its outputs and its function; it holds none of them."""

import importlib
import pickle
import pkgutil
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from pydra.compose.base import Task
from pydra.utils.general import is_workflow

import spinalprep.interfaces
import spinalprep.workflows
from spinalprep.interfaces.preprocess import Conform
from spinalprep.workflows.preprocess import Preprocess


def _tasks() -> list[Any]:
    """Return the classes of all tasks and workflows."""
    found = []
    for package in (spinalprep.interfaces, spinalprep.workflows):
        for one in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{one.name}")
            found += [
                one
                for one in vars(module).values()
                if isinstance(one, type)
                and issubclass(one, Task)
                and one.__module__ == module.__name__
            ]
    return found


def test_every_class_is_found_by_its_name() -> None:
    tasks = _tasks()
    assert len(tasks) > 60
    for klass in tasks:
        for part in (klass, klass.Outputs):
            packed = cloudpickle.dumps(part)
            assert pickle.loads(packed) is part
            assert len(packed) < 200, part


@pytest.mark.parametrize("klass", [Conform, Preprocess])
def test_a_task_comes_back_with_its_function(klass: Any, tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"voxels")
    more = {"denoise": False, "n4": True, "sloppy": False} if is_workflow(klass) else {}
    task = klass(image=path, **more)
    packed = cloudpickle.dumps(task)
    assert len(packed) < 1000
    again = pickle.loads(packed)
    assert type(again) is klass
    executor = "constructor" if is_workflow(task) else "function"
    assert getattr(again, executor) is getattr(task, executor)
    assert again._checksum == task._checksum
