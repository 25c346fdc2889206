"""How each shipped weight file is made."""

from dataclasses import dataclass

from spinalprep.errors import UsageError
from spinalprep.networks.window import CORD_SPACING_MM, HEAT_SPACING_MM
from spinalprep.training.generator import Randomness


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


RECIPES = {
    "centerline": Recipe(
        name="centerline",
        preset="centerline_unet",
        spacing_mm=HEAT_SPACING_MM,
        material_size=256,
        centred=False,
        ranges=Randomness(
            size=128, shift=50.0, away=0.12, lesions=0.15, black=0.35, smallest_window=28.0
        ),
        steps=1700,
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
}


def find_recipe(name: str) -> Recipe:
    """Return a packaged recipe.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]
