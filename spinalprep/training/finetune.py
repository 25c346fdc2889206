"""Networks adapted to a group's own scanner, by the masks that its people drew."""

from dataclasses import replace
from pathlib import Path

from spinalprep.errors import UsageError
from spinalprep.networks.onnx import OnnxNetwork
from spinalprep.networks.weights import Model, load_model
from spinalprep.networks.window import CORD_SIZE, Beside
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.options import RunOptions
from spinalprep.training.packaged import packaged_recipes
from spinalprep.training.recipes import find_recipe
from spinalprep.training.tasks.slices import SliceRecipe
from spinalprep.training.train import Start, train

STEPS, RATE, LOOK_EVERY, PATIENCE = 400, 3e-4, 20, 6
VALIDATION_BATCHES = 6
DIGITAL_SHARE = 0.3  # of the samples: with drawn-in lesions, which keep alive what is not labeled


def finetune(
    weights: str,
    dataset: LabelledDataset,
    out_dir: Path,
    options: RunOptions | None = None,
    rate: float = RATE,
    freeze: int = 0,
) -> Path:
    """Train weights further on a labeled dataset and return the path of the new ones.

    Parameters
    ----------
    weights : str
        Packaged network of axial slices, or a ``.safetensors`` file.
    dataset : LabelledDataset
        With labels of the cord, of gray matter or of lesions; what nobody drew in an image is not
        taught from it, but for an image with lesions alone, which gets the packaged networks' cord.
    out_dir : Path
        Gets checkpoint, curve, weights and card; a checkpoint of the same run is resumed.
    options : RunOptions, optional
        Length, and who is left out; a quarter of the people tell when to stop where nobody is
        named.
    rate : float
        Peak of the learning rate (cosine).
    freeze : int
        See `Start`.

    Raises
    ------
    UsageError
        If fewer than two people are left, or a person is unknown.
    NoInputError
        If the dataset has no label.
    """
    model = load_model(weights)
    recipe = replace(adapting_recipe(model), rate=rate)
    options = replace(options or RunOptions(patience=PATIENCE), stop_early=True)
    return train(recipe, dataset, out_dir, options, Start(model, freeze))


def adapting_recipe(model: Model) -> SliceRecipe:
    """Return how a network is trained further: its recipe, shorter, with its card's windows.

    Raises
    ------
    UsageError
        If it is none of axial slices, or can't be trained.
    """
    recipes = [find_recipe(name) for name in packaged_recipes()]
    role, in_slices = model.card.get("task"), "depth" not in model.card
    fitting = [one for one in recipes if isinstance(one, SliceRecipe) and one.role == role]
    if not fitting or not in_slices or isinstance(model.network, OnnxNetwork):
        known = (one.role for one in recipes if isinstance(one, SliceRecipe))
        raise UsageError(
            f"weights of task {role!r}{'' if in_slices else ' in three dimensions'} cannot be "
            f"adapted; expected a .safetensors file in two dimensions of {', '.join(known)}"
        )
    recipe = next((one for one in fitting if one.preset == model.card["preset"]), fitting[0])
    size = model.card.get("window") or (recipe.ranges.size if recipe.heat_sd_px else CORD_SIZE)
    return replace(
        recipe,
        preset=model.card["preset"],
        steps=STEPS,
        save_every=LOOK_EVERY,
        validation_batches=VALIDATION_BATCHES,
        template_share=DIGITAL_SHARE,
        needs_gm=False,  # an image with a cord alone teaches that
        beside=Beside(**model.card.get("beside", {})),
        ranges=replace(recipe.ranges, size=size),
    )
