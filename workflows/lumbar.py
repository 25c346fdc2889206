"""From T2w and T1w to the structures of a lumbar spine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinalprep import stages
from spinalprep.interfaces.lumbar import SegmentLumbar
from spinalprep.workflows.cord import WeightFile
from spinalprep.workflows.stage import add_stage


@dataclass(frozen=True)
class LumbarSearch:
    """In which images of a session lumbar structures are looked for.

    Attributes
    ----------
    t2w, t1w : str or None
        By the names of their stages; the reference's is empty.
    """

    t2w: str | None
    t1w: str | None


def add_lumbar(search: LumbarSearch, network: WeightFile, images: Mapping[str, Path]) -> None:
    """Add the stage to the graph; nothing else waits for it, and it waits for no cord.

    Parameters
    ----------
    search : LumbarSearch
        At least one image is there.
    network : WeightFile
    images : mapping of str to Path
        Preprocessed, each on its own grid: headers say how they lie to each other. The reference's
        name is empty.
    """
    t2w, t1w = (images.get(name) if name is not None else None for name in (search.t2w, search.t1w))
    task = SegmentLumbar(
        reference=images[""], t2w=t2w, t1w=t1w, weights=network.weights, card=network.card
    )
    add_stage(stages.LUMBAR, task)
