"""How each shipped weight file is made."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from spinalprep.errors import UsageError
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.window import CORD_SPACING_MM, GM_SPACING_MM, HEAT_SPACING_MM
from spinalprep.training.fitting.losses import USUAL, find_loss
from spinalprep.training.synthesis.slices import Randomness


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the data and the seed.

    Attributes
    ----------
    name, preset : str
        Weight file and network.
    spacing_mm, material_size, centred
        Grid of the material, see `read_slices`.
    ranges : Randomness
        What the image generator draws from.
    steps, batch, rate
        Length, batch size and peak learning rate (AdamW, cosine decay).
    template_share : float
        Share of samples drawn from the template's slices.
    heat_sd_px : float or None
        Train a heat map of this width around the centre in place of the masks.
    bfloat16 : bool
        Convolve in bfloat16 while training.
    needs_gm : bool
        Use only slices in which grey matter is known.
    usual_mm : float
        Show the network the usual section of the cord within this reach beside each slice.
    loss : str
        See `losses.find_loss`.
    schedule, lowest, cycle
        Shape of the learning rate and its lower end and length of cycle, see `Schedule`.
    """

    name: str
    preset: str
    spacing_mm: float
    material_size: int
    centred: bool
    ranges: Randomness
    steps: int
    batch: int = 16
    rate: float = 2e-3
    template_share: float = 0.3
    heat_sd_px: float | None = None
    bfloat16: bool = True
    needs_gm: bool = False
    usual_mm: float = 0.0
    loss: str = USUAL
    schedule: str = "cosine"
    lowest: float = 0.0
    cycle: int = 400


RECIPES = {
    "centerline": Recipe(
        name="centerline",
        preset="centerline_unet",
        spacing_mm=HEAT_SPACING_MM,
        material_size=256,
        centred=False,
        ranges=Randomness(
            size=128,
            shift=50.0,
            away=0.12,
            recoloured=0.45,
            lesions=0.15,
            black=0.35,
            smallest_window=28.0,
            exact=False,
        ),
        steps=2600,
        template_share=0.25,
        heat_sd_px=2.5,
    ),
    "cord": Recipe(
        name="cord",
        preset="cord_unet",
        spacing_mm=CORD_SPACING_MM,
        material_size=176,
        centred=True,
        ranges=Randomness(size=80, shift=7.0),
        steps=4000,
    ),
    "gm": Recipe(
        name="gm",
        preset="gm_unet",
        spacing_mm=GM_SPACING_MM,
        material_size=176,
        centred=True,
        ranges=Randomness(
            size=96, shift=6.0, smallest_window=60.0, recoloured=0.4, lesions=0.25, black=0.2
        ),
        steps=4000,
        template_share=0.2,
        needs_gm=True,
    ),
    "lesion": Recipe(
        name="lesion",
        preset="lesion_unet",
        spacing_mm=CORD_SPACING_MM,
        material_size=112,
        centred=True,
        ranges=Randomness(
            size=48,
            shift=4.0,
            recoloured=0.25,
            lesions=0.7,
            black=0.1,
            smallest_window=24.0,
            exact=False,
            noise=0.04,
            voxel_noise=0.08,
            realistic=True,
        ),
        steps=4000,
        template_share=0.2,
        usual_mm=30.0,
    ),
}


def find_recipe(name: str) -> Recipe:
    """Return a packaged recipe, or one from a TOML file.

    Parameters
    ----------
    name : str
        Of a packaged recipe, or a path that ends in ``.toml``: ``based_on = "cord"``, then what
        differs, by the names of `Recipe`, with a table ``[ranges]`` for `Randomness`.

    Raises
    ------
    UsageError
        If there is none of that name, or the file says what a recipe does not have.
    """
    if name.endswith(".toml"):
        return _read_recipe(Path(name))
    if name not in RECIPES:
        raise UsageError(
            f"there is no recipe {name!r}; expected one of {', '.join(RECIPES)}, or a .toml file"
        )
    return RECIPES[name]


def _read_recipe(path: Path) -> Recipe:
    """Read a recipe that says how it differs from a packaged one."""
    try:
        told = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read as TOML: {error}") from error
    base = find_recipe(str(told.pop("based_on", "")))
    try:
        ranges = replace(base.ranges, **told.pop("ranges", {}))
        recipe = replace(base, **{"name": path.stem, **told}, ranges=ranges)
    except TypeError as error:
        raise UsageError(f"{path}: {error}; expected the names of a Recipe") from error
    if recipe.preset not in PRESETS:
        raise UsageError(f"{path}: preset {recipe.preset!r} is none of {', '.join(PRESETS)}")
    find_loss(recipe.loss)
    return recipe
