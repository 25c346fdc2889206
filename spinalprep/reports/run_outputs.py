"""What the output folder holds of one reference image, as the pages of a participant show it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import output_path
from spinalprep.image import Image, load
from spinalprep.reports import scenes, views
from spinalprep.reports.facts import SessionRunFacts
from spinalprep.reports.scenes import Scene
from spinalprep.tables import is_true, read_table


@dataclass(frozen=True)
class RunOutputs:
    """The derivatives of one reference image, read when they are asked for."""

    out_dir: Path
    run: SessionRunFacts

    def path(self, kind: Kind, *, auto: bool = False) -> Path:
        """Return where a derivative lies."""
        return output_path(self.out_dir, kind, self.run.image, auto=auto)

    def image(self, kind: Kind, *, auto: bool = False) -> Image | None:
        """Return an image or a mask; None where there is none."""
        path = self.path(kind, auto=auto)
        return load(path) if path.is_file() else None

    def table(self, kind: Kind) -> pd.DataFrame | None:
        """Return a table; None where there is none."""
        path = self.path(kind)
        return read_table(path) if path.is_file() else None

    @cached_property
    def reference(self) -> Image | None:
        """The reference image after preprocessing."""
        return self.image("preproc")

    @cached_property
    def cord(self) -> Image | None:
        """The mask of the cord."""
        return self.image("cord")

    @cached_property
    def perslice(self) -> pd.DataFrame | None:
        """The cord slice by slice."""
        return self.table("perslice")

    @cached_property
    def scene(self) -> Scene | None:
        """Return the image around its cord; None where there is no cord."""
        line = self.image("centerline")
        if self.reference is None or self.cord is None or line is None or not line.data.any():
            return None
        points, table = scenes.points_of(line), self.table("centerline_table")
        if table is not None:  # the mask steps from voxel to voxel
            fitted = scenes.between(table[["x_mm", "y_mm", "z_mm"]].to_numpy(float), line)
            points = fitted if len(fitted) > 1 else points
        return Scene(
            self.reference,
            points,
            views.window_around(self.reference, self.cord),
            self._masks(self.cord),
            _level_names(self.perslice),
            _doubtful(self.perslice),
        )

    def _soft(self, cord: Image) -> Image:
        """Return the probability of an automatic cord, whose outline at one half is smooth."""
        soft, auto = self.image("cord_probability"), self.image("cord", auto=True)
        if soft is None or auto is not None or soft.shape != cord.shape:
            return cord
        near = ndimage.binary_dilation(cord.data > 0.5)
        return cord.with_data(np.where(near, soft.data, 0).astype(np.float32))

    def _masks(self, cord: Image) -> dict[str, Image]:
        """Return what is outlined, by its name."""
        masks = {"cord": self._soft(cord)}
        automatic = self.image("cord", auto=True)
        if automatic is not None:
            masks["automatic"] = automatic
        more: tuple[tuple[str, Kind], ...] = (
            ("gray matter", "gm_probability"),
            ("lesion", "lesion"),
        )
        for name, kind in more:
            found = self.image(kind)
            if found is not None and found.data.max() > 0.5:
                masks[name] = found
        return masks


def _level_names(perslice: pd.DataFrame | None) -> dict[int, str]:
    if perslice is None:
        return {}
    known = perslice.dropna(subset=["vertebral_level"])
    return {int(k): str(v) for k, v in zip(known["slice"], known["vertebral_level"], strict=True)}


def _doubtful(perslice: pd.DataFrame | None) -> list[int]:
    """Return the slices in which the outline of the cord is doubtful."""
    if perslice is None:
        return []
    return [int(k) for k in perslice["slice"][is_true(perslice["doubtful"])]]
