"""What the tumor networks tell; importable without torch."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array", bound=NDArray[Any])
Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Structures(Generic[Array]):
    """Arrays of shape (I, J, K), one per structure: probabilities or masks, which may overlap.

    Attributes
    ----------
    tumor, edema, cavity : ndarray
        Tumor core, enhancing or not; edema; liquid-filled cavity.
    abnormality : ndarray
        The whole of them.
    """

    tumor: Array
    edema: Array
    cavity: Array
    abnormality: Array

    def items(self) -> Iterator[tuple[str, Array]]:
        """Yield names and arrays, the abnormality last."""
        for name in STRUCTURES:
            yield name, getattr(self, name)


STRUCTURES = tuple(field.name for field in fields(Structures))
