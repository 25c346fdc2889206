"""Training of the rows: one after the other, each resumed where it was killed."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spinalprep.errors import UsageError
from spinalprep.training.fitting.curves import draw_range_test
from spinalprep.training.fitting.loop import Validation, fit
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.fitting.range_test import range_test
from spinalprep.training.fitting.schedules import Schedule, rising_rates
from spinalprep.training.fitting.scores import confusion
from spinalprep.training.material.people import people_of_fold
from spinalprep.training.material.whole_slices import WholeSlices
from spinalprep.training.protocol.rows import CYCLICAL, Row
from spinalprep.training.synthesis.batch import Batch

LOG = logging.getLogger("spinalprep")
RANGE = 1e-10, 1e1  # learning rates of the range test, as published
PATIENCE = 10  # epochs without a lower validation loss, as published
EPOCHS_OF_A_CYCLE = 4  # not published; Smith (2017) advises 4 to 20


@dataclass(frozen=True)
class Protocol:
    """What all rows have in common; the table states it.

    Attributes
    ----------
    filters : int
        Of the first level; the paper does not state them.
    epochs, batch, size : int
        Length of a training, slices of a batch, and edge of a slice in pixels.
    slices : int
        Of one image, at most.
    passes : int
        Over all slices, in an epoch: few slices need more, for as many updates as in the paper.
    rate_factor : float
        By which the published learning rates are multiplied, where far fewer updates are made.
    folds : int
        Of people; one fold in turn is tested on, a quarter of the others tells when to stop.
    """

    filters: int = 32
    epochs: int = 30
    batch: int = 15
    size: int = 256
    slices: int = 1000
    passes: int = 1
    rate_factor: float = 1.0
    folds: int = 5


@dataclass(frozen=True)
class Turn:
    """One training: a row, a seed, and the fold that is tested on."""

    row: Row
    seed: int
    fold: int

    def folder(self, out_dir: Path) -> Path:
        """Return where it keeps its checkpoint, curve and result."""
        return out_dir / "rows" / f"{self.row.name}_seed-{self.seed}_fold-{self.fold}"


@dataclass(frozen=True)
class Sites:
    """Slices of the people who are shared out into folds, and of another site's, only tested on."""

    own: WholeSlices
    other: WholeSlices | None = None


def check_protocol(protocol: Protocol, sites: Sites, out_dir: Path) -> None:
    """Refuse a folder of another protocol or of other people, and note this one.

    Raises
    ------
    UsageError
        If ``protocol.json`` says something else.
    """
    people = {"people": list(sites.own.people), "slices_read": len(sites.own)}
    keep_protocol(asdict(protocol) | people, out_dir)


def keep_protocol(told: dict[str, object], out_dir: Path) -> None:
    """Note in ``protocol.json`` what all rows of a folder have in common.

    Raises
    ------
    UsageError
        If the file says something else.
    """
    path = out_dir / "protocol.json"
    if path.is_file() and json.loads(path.read_text()) != told:
        raise UsageError(
            f"{out_dir} holds rows of another protocol or of other people ({path.name}); "
            "choose another folder, all rows have to be trained alike"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")


def run_turn(
    turn: Turn, sites: Sites, protocol: Protocol, out_dir: Path, device: str = "cpu"
) -> None:
    """Train one row and test it; nothing is done where its result is there.

    Parameters
    ----------
    turn : Turn
        Which.
    sites : Sites
        The fold's people are tested on and never trained on, nor do they tell when to stop.
    protocol : Protocol
        See `check_protocol`.
    out_dir : Path
        The turn's folder there gets checkpoint, ``loss.csv``, ``loss.png`` and ``slices.tsv``.
    device : str
        ``cpu`` or ``cuda``, for the training; it is tested on the CPU.
    """
    folder = turn.folder(out_dir)
    if (folder / "slices.tsv").is_file():
        return
    tested = people_of_fold(sites.own.people, turn.fold, protocol.folds)
    rest = sites.own.without(tested)
    watched = people_of_fold(rest.people, 1, min(len(rest.people), 4))
    taught = rest.without(watched)
    if not taught.people:
        raise UsageError("nobody is left to train on; expected at least three people with labels")
    LOG.info("%s, seed %d: tested on %s", turn.row.name, turn.seed, ", ".join(tested))
    torch.manual_seed(turn.seed)
    batches = list(_in_order(rest.only(watched), protocol.batch))
    trained = fit(
        start_at_prevalence(turn.row.network(protocol.filters), float(taught.cord.mean())),
        lambda step: draw(taught, protocol.batch, turn.seed, step),
        _schedule(turn, taught, protocol),
        folder,
        find_loss(turn.row.loss),
        Validation(batches, PATIENCE),
        device,
    )
    tables = [_test(trained, sites.own.only(tested), protocol.batch).assign(site="own")]
    if sites.other is not None:
        tables.append(_test(trained, sites.other, protocol.batch).assign(site="other"))
    _keep_examples(trained, sites.own.only(tested), tables[0], folder / "examples.npz")
    partial = folder / "slices.part"
    pd.concat(tables).to_csv(partial, sep="\t", index=False, float_format="%.5f", na_rep="n/a")
    partial.replace(folder / "slices.tsv")


def run_range_test(
    sites: Sites, protocol: Protocol, out_dir: Path, steps: int, device: str = "cpu"
) -> None:
    """Draw loss over learning rate for the last row, ``range_test.png``, unless it is there."""
    path = out_dir / "range_test.png"
    if path.is_file():
        return
    torch.manual_seed(0)
    rates = rising_rates(*RANGE, steps)
    network, objective = CYCLICAL.network(protocol.filters).to(device), find_loss(CYCLICAL.loss)
    losses = range_test(
        network, lambda step: draw(sites.own, protocol.batch, 0, step), rates, objective, True
    )
    draw_range_test(rates, losses, None, path)


def draw(material: WholeSlices, count: int, seed: int, step: int) -> Batch:
    """Return the batch of a step: every slice comes once a pass, in an order of its own."""
    passed, place = divmod(step, steps_of_pass(material, count))
    order = np.random.default_rng([seed, passed]).permutation(len(material))
    return _batch(material, order[place * count : (place + 1) * count])


def start_at_prevalence(network: nn.Module, share: float) -> nn.Module:
    """Return the network, its last bias such that it starts at the share of cord everywhere.

    From one half, nearly all of the gradient is that of the background, and networks trained with
    few updates end without any cord.

    References
    ----------
    .. [1] Lin et al. (2017), "Focal loss for dense object detection", ICCV, section 4.1.
    """
    assert isinstance(network.head, nn.Conv2d)
    assert network.head.bias is not None
    nn.init.constant_(network.head.bias, float(np.log(share / (1 - share))))
    return network


def steps_of_pass(material: WholeSlices, count: int) -> int:
    """Return how many batches of so many slices show all of them; the last may be smaller."""
    return -(-len(material) // count)


def _in_order(material: WholeSlices, count: int) -> Iterator[Batch]:
    for first in range(0, len(material), count):
        yield _batch(material, np.arange(first, min(first + count, len(material))))


def _batch(material: WholeSlices, index: NDArray[np.intp]) -> Batch:
    image, cord = (
        torch.from_numpy(part[index])[:, None] for part in (material.image, material.cord)
    )
    return Batch(image, cord, torch.ones(len(index), 1, 1, 1))


def _schedule(turn: Turn, taught: WholeSlices, protocol: Protocol) -> Schedule:
    """Return the learning rates of a row; a checkpoint is kept, and a look taken, every epoch."""
    epoch = protocol.passes * steps_of_pass(taught, protocol.batch)
    row = turn.row
    return Schedule(
        steps=protocol.epochs * epoch,
        rate=row.rate * protocol.rate_factor,
        save_every=epoch,
        run=repr((turn, protocol, taught.people, len(taught))),
        shape="constant" if row.lowest is None else "triangular",
        lowest=(row.lowest or 0.0) * protocol.rate_factor,
        cycle=EPOCHS_OF_A_CYCLE * epoch,
        bfloat16=True,
    )


def _test(network: nn.Module, material: WholeSlices, count: int) -> pd.DataFrame:
    """Return a row per slice: its Dice, and its voxels counted."""
    rows = []
    for first, batch in zip(
        range(0, len(material), count), _in_order(material, count), strict=True
    ):
        found = find(network, batch.image)
        for n in range(len(found)):
            one = slice(n, n + 1)
            counts = confusion(found[one], batch.truth[one], batch.weight[one])
            rows.append(
                {
                    "person_id": str(material.person[first + n]),
                    "image": str(material.name[first + n]),
                    "slice": int(material.place[first + n]),
                    "dice": counts.dice,
                    **asdict(counts),
                }
            )
    return pd.DataFrame(rows)


def _keep_examples(
    network: nn.Module, material: WholeSlices, table: pd.DataFrame, path: Path
) -> None:
    """Keep the worst, the median and the best tested slice, for a picture."""
    order = np.argsort(table["dice"].to_numpy(), kind="stable")
    shown = material.take(order[[0, len(order) // 2, -1]])
    found = find(network, torch.from_numpy(shown.image)[:, None])[:, 0] > 0
    dice = table["dice"].to_numpy()[order[[0, len(order) // 2, -1]]]
    np.savez_compressed(path, image=shown.image, cord=shown.cord > 0, found=found, dice=dice)


@torch.no_grad()
def find(network: nn.Module, image: Tensor) -> Tensor:
    """Return the logits (N, 1, H, W) of slices (N, 1, H, W)."""
    logits: Tensor = network.eval()(image)
    return logits
