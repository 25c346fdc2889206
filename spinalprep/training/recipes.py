"""How each network is made: packaged recipes, and those of one's own."""

from pathlib import Path
from typing import Any

from spinalprep.errors import UsageError
from spinalprep.networks.presets import PRESETS
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.packaged import packaged_recipes
from spinalprep.training.task import Recipe, TrainingTask
from spinalprep.training.tasks import TASKS
from spinalprep.training.toml import from_table, read_toml


def find_recipe(name: str) -> Recipe:
    """Return a packaged recipe, or one from a TOML file.

    Parameters
    ----------
    name : str
        Of a packaged recipe, or a path that ends in ``.toml``: the fields of the task's recipe, or
        ``based_on = "cord"`` and what differs, with a table ``[ranges]`` for the generator's.

    Raises
    ------
    UsageError
        If there is none of that name, or the file says what a recipe does not have.
    """
    table = _table_of(name)
    kind = table.get("task")
    if kind not in TASKS:
        raise UsageError(f"{name}: task {kind!r} is not one of {', '.join(TASKS)}")
    recipe = from_table(TASKS[kind].recipe_type, table, name)
    if recipe.preset not in PRESETS:
        raise UsageError(f"{name}: preset {recipe.preset!r} is not one of {', '.join(PRESETS)}")
    find_loss(recipe.loss)
    return recipe


def task_of(recipe: Recipe) -> TrainingTask[Any, Any]:
    """Return the task that trains a recipe."""
    return TASKS[recipe.task](recipe)


def _table_of(name: str) -> dict[str, Any]:
    """Return the table of a recipe, filled up with that of the recipe it is based on."""
    known = packaged_recipes()
    if not name.endswith(".toml") and name not in known:
        raise UsageError(
            f"unknown recipe {name!r}; expected one of {', '.join(known)}, or a .toml file"
        )
    path = known.get(name, Path(name))
    told = {"name": path.stem} | read_toml(path)
    if "based_on" not in told:
        return told
    base = _table_of(str(told.pop("based_on")))
    ranges = {**base.get("ranges", {}), **told.pop("ranges", {})}
    return base | told | {"ranges": ranges}
