"""What one training is told beside its recipe and the data."""

from dataclasses import dataclass

from spinalprep.training.material.labelled import Dataset

NEVER_TRAINED = 10**9  # the first step whose samples are for validation


@dataclass(frozen=True)
class Choice:
    """What one training of a recipe is told beside the data.

    Attributes
    ----------
    seed : int
        Of weights and samples.
    steps : int, optional
        In place of the recipe's.
    leave_out : tuple of str
        People that are left out, for evaluation; the card names them.
    fold : tuple of int, optional
        Leave out the people of one fold of several, see `people_of_fold`.
    validate : tuple of str
        People that are not trained on and tell when to stop.
    patience : int
        See `Validation`.
    device : str
        ``cpu`` or ``cuda``.
    own : Dataset, optional
        Train on these people and digital persons in place of the shared data.
    """

    seed: int = 0
    steps: int | None = None
    leave_out: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None
    validate: tuple[str, ...] = ()
    patience: int = 5
    device: str = "cpu"
    own: Dataset | None = None
