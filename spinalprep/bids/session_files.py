"""The files that belong to one session run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spinalprep.bids.labels import Labels
from spinalprep.bids.names import output_prefix
from spinalprep.bids.session import Scan


@dataclass(frozen=True)
class SessionFiles:
    """A reference image, and the images, labels and maps that go with it.

    Attributes
    ----------
    reference : Scan
        The raw image that everything is measured on.
    contrasts : mapping of str to Scan
        The images that are registered to it, by the names of their stages.
    labels : Labels
        What people drew on it.
    maps : mapping of str to Path
        The maps that are measured by region, by metric.
    mt_pair : tuple of (on, off) or None
        The images of which the MT ratio is made, by the names of their stages; the reference's is
        empty.
    """

    reference: Scan
    contrasts: Mapping[str, Scan] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    maps: Mapping[str, Path] = field(default_factory=dict)
    mt_pair: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The name of the session run: how the names of its outputs begin."""
        return output_prefix(self.reference)

    @property
    def scans(self) -> dict[str, Scan]:
        """All images by the names of their stages; the reference's is empty."""
        return {"": self.reference, **self.contrasts}

    def is_drawn(self, role: str) -> bool:
        """Tell whether a person's label of a role is used (``cord``, ``lesion``, ``gm`` ...)."""
        return role in self.labels.paths
