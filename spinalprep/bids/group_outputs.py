"""Write what the group level makes: maps that say what they stand on, and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.bids.container import generated_by
from spinalprep.bids.derivatives import template_uri, write_image, write_table
from spinalprep.bids.group_names import TableKind, table_path
from spinalprep.bids.people import PersonFiles
from spinalprep.image import Image
from spinalprep.template.files import Template


@dataclass(frozen=True)
class GroupWriter:
    """Writes the outputs of a group into an output folder.

    Attributes
    ----------
    out_dir : Path
        The output folder.
    template : Template
        Whose space the maps are in.
    affine : ndarray of float64, shape (4, 4)
        Of its grid, to RAS+ mm.
    min_n : int
        What the maps' ``MinimumCoverage`` says.
    warnings : tuple of str
        What every map's JSON warns of.
    """

    out_dir: Path
    template: Template
    affine: NDArray[np.float64]
    min_n: int
    warnings: tuple[str, ...] = ()

    def map(
        self,
        path: Path,
        volume: NDArray[np.float32],
        description: str,
        people: Sequence[PersonFiles],
        more: Mapping[str, object] | None = None,
    ) -> bool:
        """Write a float32 map with its sidecar; tell whether it changed.

        Parameters
        ----------
        path : Path
            From `map_path`.
        volume : ndarray of float32, shape (I, J, K)
            On the template's grid; NaN is allowed.
        description : str
            What it is.
        people : sequence of PersonFiles
            Whom it stands on.
        more : mapping, optional
            What else the sidecar says.
        """
        sidecar = self._sidecar(description, people) | dict(more or {})
        return write_image(self.out_dir, path, Image(volume, self.affine), sidecar)

    def table(self, kind: TableKind, table: pd.DataFrame) -> bool:
        """Write a table over people with its data dictionary; tell whether it changed."""
        return write_table(self.out_dir, table_path(self.out_dir, kind), table)

    def _sidecar(self, description: str, people: Sequence[PersonFiles]) -> dict[str, Any]:
        """Return what the JSON of all maps says."""
        template, name = self.template, "lesion_threshold"
        given = [person.origin.parameters for person in people]
        thresholds = sorted({own[name] for own in given if name in own}, key=str)
        sidecar: dict[str, Any] = {
            "Description": description,
            "SampleSize": len(people),
            "Subjects": [person.name for person in people],
            "SpatialReference": template_uri(template.name, template.release, template.identity),
            "GeneratedBy": generated_by(),
            "MinimumCoverage": self.min_n,
        }
        if thresholds:
            sidecar["Threshold"] = thresholds[0] if len(thresholds) == 1 else thresholds
        if self.warnings:
            sidecar["Warnings"] = list(self.warnings)
        return sidecar
