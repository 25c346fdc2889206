"""The card of a network: what it is for, who taught it, how, and what that means for others."""

from dataclasses import asdict, dataclass
from typing import Any

from spinalprep.training.fitting.loop import Progress
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.people import Material
from spinalprep.training.task import TrainingTask

MADE_ANEW = {
    *("sha256", "version", "data", "seed", "steps", "recipe", "training_minutes"),
    *("figures", "temperature"),
}


@dataclass(frozen=True)
class Taught:
    """Who and what a training used.

    Attributes
    ----------
    dataset : LabelledDataset
    material : Material
        What was trained on.
    stopped_by, left_out : tuple of str
        People who told when to stop, and who were spared.
    """

    dataset: LabelledDataset
    material: Material
    stopped_by: tuple[str, ...]
    left_out: tuple[str, ...]


def make_card(
    task: TrainingTask[Any, Any], taught: Taught, done: Progress, seed: int
) -> dict[str, Any]:
    """Return the card of weights but for what is measured of them.

    Parameters
    ----------
    task : TrainingTask
    taught : Taught
    done : Progress
        Which step's weights are kept, and how long it took.
    seed : int
    """
    recipe, dataset = task.recipe, taught.dataset
    parts = dataset.parts
    sources = "; ".join(part.sources for part in parts)
    terms = {"sources": sources, "limits": dataset.limits, **task.terms()}
    held_out = f"; held out: {', '.join(sorted(taught.left_out))}" if taught.left_out else ""
    kinds = [who.kind for who in taught.material.owners()]
    return {
        "name": recipe.name,
        "version": recipe.version,
        "task": recipe.role,
        "preset": recipe.preset,
        **task.describe(),
        "data": {
            "datasets": [part.name for part in parts],
            "people": list(taught.material.people),
            task.pieces: {str(kind): kinds.count(kind) for kind in dict.fromkeys(kinds)},
            "sources": terms["sources"],
            "left_out": sorted(taught.left_out),
            "stopped_by": sorted(taught.stopped_by),
        },
        "synthetic": task.synthetic,
        "seed": seed,
        "steps": done.kept,
        "recipe": asdict(recipe),
        "training_minutes": round(done.seconds / 60, 1),
        "licence": dataset.licence,
        "limits": terms["limits"] + held_out,
    }


def adapted_card(card: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Return the card of weights that were trained further.

    Parameters
    ----------
    card : dict
        See `make_card`.
    old : dict
        Of the weights it started from: what they are for and their terms still hold, their figures
        do not.
    """
    data, before = card["data"], old["data"]
    names = {*before["people"], *data["people"], *data["stopped_by"]}
    return {
        **card,
        **{key: value for key, value in old.items() if key not in MADE_ANEW},
        "version": f"{old.get('version', '')} adapted",
        "data": {
            **data,
            "datasets": list(dict.fromkeys([*before.get("datasets", [""]), *data["datasets"]])),
            "people": sorted(names),
            "added": data["people"],
            "sources": "those of the original weights, and the user's own labels",
        },
        "started_from": {
            key: old.get(key) for key in ("name", "version", "sha256", "data", "recipe")
        },
        "figures": {
            "note": ("none: evaluate it on held-out subjects with spinalprep-tools evaluate")
        },
    }
