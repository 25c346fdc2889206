"""Training of the rows of the lumbar table, and of the ensembles of their folds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spinalprep.image import Image
from spinalprep.image.gzipped import read_volume, write_volume
from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.networks.lumbar import map_structures
from spinalprep.networks.weights import Model
from spinalprep.phantom.lumbar import make_lumbar
from spinalprep.phantom.lumbar_scans import draw_protocol, scan
from spinalprep.training.evaluation.structures import count_pairs
from spinalprep.training.fitting.loop import Validation, fit
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.fitting.structures import structure_loss
from spinalprep.training.material.lumbar import SPACING_MM, LumbarSlices
from spinalprep.training.material.people import people_of_fold
from spinalprep.training.protocol.lumbar_rows import LumbarRow
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.lumbar import (
    LumbarRanges,
    draw_lumbar_batch,
    make_lumbar_batch,
)

LOG = logging.getLogger("spinalprep")
CARD = {"spacing": [SPACING_MM, SPACING_MM], "classes": list(STRUCTURES)}
LOOKS = 10  # at the people who tell when to stop, in a training
PARTS = "t2w", "t1w", "structures"


@dataclass(frozen=True)
class LumbarStudy:
    """What all rows have in common; the table states it.

    Attributes
    ----------
    people, slices : int
        Synthetic subjects of the folds (seeds from 0 on), and slices of each.
    tested, first_tested : int
        Number of subjects that are tested on, and the seed of the first.
    size : int
        Height and width of a patch, in pixels of 1 mm.
    batch, steps : int
        Of a training.
    divisor : int
        By which the published numbers of first filters are divided.
    rate_factor : float
        By which the published learning rates are multiplied.
    folds : int
        Of the subjects; each in turn tells when to stop, the others are trained on.
    """

    people: int = 60
    slices: int = 12
    tested: int = 15
    first_tested: int = 125_000
    size: int = 256
    batch: int = 15
    steps: int = 20_000
    divisor: int = 1
    rate_factor: float = 1.0
    folds: int = 5

    @property
    def ranges(self) -> LumbarRanges:
        """The augmentation that was published; both contrasts are always there."""
        size = self.size, self.size
        return LumbarRanges(size=size, zoom=(0.5, 1.5), flip=0.5, no_t1w=0.0, no_t2w=0.0)


@dataclass(frozen=True)
class LumbarTurn:
    """One training: a row, a seed, and the fold that tells when to stop."""

    row: LumbarRow
    seed: int
    fold: int

    def folder(self, out_dir: Path) -> Path:
        """Return where it keeps its checkpoint, curve and result."""
        return out_dir / "rows" / f"{self.row.name}_seed-{self.seed}_fold-{self.fold}"


def draw_tested(study: LumbarStudy, out_dir: Path) -> list[Path]:
    """Scan the subjects who are tested on, unless it was done; return a folder for each."""
    folders = []
    for seed in range(study.first_tested, study.first_tested + study.tested):
        folder = out_dir / "tested" / f"sub-{seed}"
        folders.append(folder)
        if (folder / f"{PARTS[-1]}.nii.gz").is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        scanned = scan(make_lumbar(seed), draw_protocol(seed))
        for part in PARTS:  # truth last, as a mark that all are there
            image: Image = getattr(scanned, part)
            partial = folder / f"part-{part}.nii.gz"
            write_volume(nib.Nifti1Image(image.data, image.affine), partial)
            partial.replace(folder / f"{part}.nii.gz")
    return folders


def run_lumbar_turn(
    turn: LumbarTurn,
    study: LumbarStudy,
    material: LumbarSlices,
    out_dir: Path,
    device: str = "cpu",
) -> None:
    """Train one row on all folds but one and test it; nothing is done where its result is there.

    Parameters
    ----------
    turn : LumbarTurn
        Which.
    study : LumbarStudy
        See `draw_tested`, too.
    material : LumbarSlices
        Slices of the subjects in folds.
    out_dir : Path
        The turn's folder there gets checkpoint, ``loss.csv``, ``loss.png``, ``network.safetensors``
        and ``voxels.npz``.
    device : str
        ``cpu`` or ``cuda``, for the training; it is tested on the CPU.
    """
    folder = turn.folder(out_dir)
    if (folder / "voxels.npz").is_file():
        return
    LOG.info("%s, seed %d, fold %d of %d", turn.row.name, turn.seed, turn.fold, study.folds)
    watching = people_of_fold(material.people_in_folds, turn.fold, study.folds)
    watched = np.isin([str(seed) for seed in material.seeds], watching)
    taught = material.take(np.flatnonzero(~watched))
    torch.manual_seed(turn.seed)
    trained = fit(
        turn.row.network(study.divisor),
        lambda step: draw_lumbar_batch(taught.tissues, study.batch, study.ranges, turn.seed, step),
        _schedule(turn, study),
        folder,
        _loss,
        Validation(_watched_batches(material.take(np.flatnonzero(watched)), study), LOOKS),
        device,
    )
    state = {name: part.contiguous() for name, part in trained.state_dict().items()}
    save_file(state, folder / "network.safetensors")
    test_networks([trained], draw_tested(study, out_dir), folder / "voxels.npz")


def run_ensemble(row: LumbarRow, seed: int, study: LumbarStudy, out_dir: Path) -> None:
    """Test the mean of the networks of all folds, once all are trained."""
    turns = [LumbarTurn(row, seed, fold) for fold in range(1, study.folds + 1)]
    path = out_dir / "rows" / f"{row.name}_seed-{seed}_ensemble" / "voxels.npz"
    files = [turn.folder(out_dir) / "network.safetensors" for turn in turns]
    if path.is_file() or not all(file.is_file() for file in files):
        return
    LOG.info("%s, seed %d: ensemble of %d folds", row.name, seed, study.folds)
    networks = []
    for file in files:
        networks.append(row.network(study.divisor))
        networks[-1].load_state_dict(load_file(file))
    path.parent.mkdir(parents=True, exist_ok=True)
    test_networks(networks, draw_tested(study, out_dir), path)


def test_networks(networks: Sequence[nn.Module], people: Sequence[Path], path: Path) -> None:
    """Count the voxels of people by what they are and what they are called, in one file.

    Parameters
    ----------
    networks : sequence of nn.Module
        Whose probabilities are averaged.
    people : sequence of Path
        See `draw_tested`.
    path : Path
        Gets ``counts``, int64, shape (people, 12, 12), see `structures.count_pairs`.
    """
    models = [Model(network.eval(), CARD) for network in networks]
    counts = []
    for folder in people:
        t2w, t1w, truth = (_read(folder / f"{part}.nii.gz") for part in PARTS)
        soft = np.mean([map_structures(t2w, t1w, model) for model in models], axis=0)
        found = soft.argmax(axis=0).astype(np.uint8)
        counts.append(count_pairs(truth.data.astype(np.uint8), found, len(STRUCTURES)))
    partial = path.with_name("voxels.part.npz")
    np.savez_compressed(partial, counts=np.array(counts))
    partial.replace(path)


def _watched_batches(material: LumbarSlices, study: LumbarStudy) -> list[Batch]:
    """Return every slice of the people who tell when to stop once, the same at every look."""
    draw = torch.Generator().manual_seed(0)
    parts = np.array_split(np.arange(len(material)), -(-len(material) // study.batch))
    return [make_lumbar_batch(material.tissues[part], study.ranges, draw) for part in parts]


def _schedule(turn: LumbarTurn, study: LumbarStudy) -> Schedule:
    return Schedule(
        steps=study.steps,
        rate=turn.row.rate * study.rate_factor,
        save_every=max(study.steps // LOOKS, 1),
        run=repr((turn.row.name, turn.seed, turn.fold, study)),
        shape="constant",
        bfloat16=True,
        optimizer=turn.row.optimizer,
    )


def _loss(given: Tensor | list[Tensor], truth: Tensor, weight: Tensor) -> Tensor:
    return structure_loss(given, truth)


def _read(path: Path) -> Image:
    volume = read_volume(path)
    return Image(np.asarray(volume.dataobj, np.float32), np.asarray(volume.affine, np.float64))
