"""What one training is told beside its recipe and the data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """What one training is told beside its recipe and the data.

    Attributes
    ----------
    seed : int
        Of weights and samples.
    steps : int, optional
        In place of the recipe's.
    leave_out : tuple of str
        People who are neither trained on nor looked at, to be judged on; the card names them.
    fold : tuple of int, optional
        Leave out the people of one fold of several, see `people_of_fold`.
    validate : tuple of str
        People who are not trained on and tell when to stop.
    stop_early : bool
        Let a quarter of the people tell when to stop, where none of them is named.
    patience : int
        See `Validation`.
    device : str
        ``cpu`` or ``cuda``.
    """

    seed: int = 0
    steps: int | None = None
    leave_out: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None
    validate: tuple[str, ...] = ()
    stop_early: bool = False
    patience: int = 5
    device: str = "cpu"
