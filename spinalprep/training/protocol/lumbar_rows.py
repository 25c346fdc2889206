"""The eight configurations of Sáenz-Gamboa et al. 2021, and what they gave on private data."""

from dataclasses import dataclass, replace

from torch import nn

from spinalprep.networks.topology import TOPOLOGIES


@dataclass(frozen=True)
class LumbarRow:
    """A configuration.

    Attributes
    ----------
    name : str
        Of its topology, see `networks.topology.TOPOLOGIES`.
    optimizer : str
        One of `schedules.OPTIMIZERS`.
    rate : float
        Learning rate; fixed.
    paper : tuple of float
        Intersection over union of each structure in percent, background first, as published.
    paper_without, paper_with : float
        Published mean without and with background.
    """

    name: str
    optimizer: str
    rate: float
    paper: tuple[float, ...]
    paper_without: float
    paper_with: float

    def network(self, divisor: int) -> nn.Module:
        """Return the network with 1 / ``divisor`` of the published first filters."""
        published = TOPOLOGIES[self.name]
        return replace(published, filters=published.filters // divisor).network()


LUMBAR_ROWS = (
    LumbarRow(
        "UAD",
        "RMSprop",
        1e-3,
        (84.1, 80.5, 76.3, 83.9, 66.3, 91.0, 43.7, 50.1, 64.7, 15.1, 54.8, 73.2),
        63.6,
        65.3,
    ),
    LumbarRow(
        "UVAD",
        "Adam",
        3.3e-4,
        (84.4, 81.1, 77.7, 84.2, 65.8, 90.6, 44.1, 48.8, 64.4, 32.1, 55.7, 73.1),
        65.2,
        66.8,
    ),
    LumbarRow(
        "UAMD",
        "Adam",
        3.3e-4,
        (83.4, 80.8, 76.0, 84.0, 65.1, 90.6, 43.2, 48.5, 62.2, 16.3, 53.5, 72.8),
        63.0,
        64.7,
    ),
    LumbarRow(
        "UVD",
        "Adam",
        3.3e-4,
        (87.4, 84.5, 81.1, 85.4, 67.3, 92.5, 54.5, 58.5, 71.2, 35.2, 63.0, 77.8),
        70.1,
        71.5,
    ),
    LumbarRow(
        "UMD",
        "Adam",
        3.3e-4,
        (86.2, 83.6, 79.7, 84.3, 67.0, 91.9, 52.4, 56.6, 69.1, 36.1, 59.8, 76.7),
        68.8,
        70.3,
    ),
    LumbarRow(
        "UD",
        "Adam",
        3.3e-4,
        (83.2, 80.7, 77.2, 83.7, 65.4, 90.4, 44.1, 48.2, 62.3, 22.4, 52.1, 72.3),
        63.5,
        65.2,
    ),
    LumbarRow(
        "U1",
        "Adadelta",
        1.0,
        (86.2, 82.4, 80.5, 83.8, 66.7, 91.9, 51.3, 55.8, 69.3, 34.3, 59.2, 76.1),
        68.3,
        69.8,
    ),
    LumbarRow(
        "FCN",
        "Adam",
        3.3e-4,
        (87.1, 80.6, 76.6, 82.5, 62.9, 91.8, 49.0, 55.0, 70.5, 20.5, 60.6, 75.9),
        66.0,
        67.8,
    ),
)
LUMBAR_BY_NAME = {row.name: row for row in LUMBAR_ROWS}
BASELINE = LUMBAR_BY_NAME["U1"]  # which the others are compared with
