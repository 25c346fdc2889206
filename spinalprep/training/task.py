"""The protocol of a training task: material, batches, loss, figures, card.

A new kind of network is a `Recipe` with what else decides its training, a `TrainingTask` that says
where it differs (one file in ``tasks``, named in its table), and a TOML file with the numbers.
`train.train` drives all of them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import Model
from spinalprep.training.fitting.losses import USUAL, Objective, find_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.people import Material
from spinalprep.training.synthesis.batch import Batch

R = TypeVar("R", bound="Recipe")
M = TypeVar("M", bound=Material)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training but the data and the seed; kinds of networks add to it.

    Attributes
    ----------
    name, version : str
        Of the weight file.
    task : str
        Kind of training, see `tasks.TASKS`.
    role : str
        What the App uses such a network for, ``task`` on its card.
    preset : str
        The network, see `networks.presets`.
    dataset : str
        Description of the dataset that is read with a folder of shared data, see
        `described_dataset`.
    steps, batch, rate
        Length, samples of a batch, and peak learning rate (AdamW).
    loss : str
        See `losses.find_loss`.
    schedule, lowest, cycle, zero_at
        Shape of the learning rate, see `Schedule`.
    bfloat16 : bool
        Convolve in bfloat16 while training.
    save_every : int
        Steps between checkpoints, and between looks at the people who tell when to stop.
    validation_batches : int
        Batches of theirs, the same at every look.
    """

    name: str
    task: str
    role: str
    preset: str
    version: str = "1"
    dataset: str = "development"
    steps: int
    batch: int
    rate: float = 2e-3
    loss: str = USUAL
    schedule: str = "cosine"
    lowest: float = 0.0
    cycle: int = 400
    zero_at: int = 0
    bfloat16: bool = True
    save_every: int = 200
    validation_batches: int = 8


class TrainingTask(ABC, Generic[R, M]):
    """A kind of training, for one recipe.

    Attributes
    ----------
    recipe : Recipe
        Of type ``recipe_type``.
    pieces : str
        What a piece of its material is called, in the plural.
    can_leave_out : bool
        Whether people can be left out, or tell when to stop.
    synthetic : str
        What a card says of samples that nobody acquired.
    """

    recipe_type: ClassVar[type[Recipe]]
    pieces: ClassVar[str]
    can_leave_out: ClassVar[bool] = True
    synthetic: ClassVar[str] = "intensities and geometry randomized; all lesions are synthetic"

    def __init__(self, recipe: R) -> None:
        self.recipe = recipe

    @abstractmethod
    def read(self, dataset: LabelledDataset) -> M:
        """Return what is taught: the dataset's people, synthetic subjects, a template."""

    @abstractmethod
    def draw(self, material: M, seed: int, step: int) -> Batch:
        """Return the batch of a step; the same for the same material, seed and step."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""

    def network(self) -> nn.Module:
        """Return the network, its weights by torch's own source of chance."""
        return PRESETS[self.recipe.preset]()

    def objective(self) -> Objective:
        """Return the loss of what the network gives; of several scales, where it gives them."""
        return find_loss(self.recipe.loss)

    def schedule(self, steps: int, run: str = "") -> Schedule:
        """Return the learning rates of so many steps."""
        recipe = self.recipe
        return Schedule(
            steps,
            recipe.rate,
            recipe.save_every,
            run,
            recipe.schedule,
            recipe.lowest,
            recipe.cycle,
            recipe.zero_at,
            recipe.bfloat16,
        )

    def figures(self, trained: Model, material: M, seed: int) -> dict[str, Any]:
        """Measure what a card says of trained weights, on nobody who may be left out."""
        return {}

    def terms(self) -> dict[str, str]:
        """Return what a card says of sources and limits in place of the dataset's words."""
        return {}

    def draw_picture(self, material: M, seed: int, folder: Path) -> None:
        """Draw what the network will be shown, where there is a way to."""
