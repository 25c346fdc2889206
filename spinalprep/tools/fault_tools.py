"""The helper that draws faults into labeled images."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from spinalprep.app.log import LOG
from spinalprep.defaults import FAULT_KINDS, FAULT_SEED
from spinalprep.errors import UsageError
from spinalprep.tools.training_tools import add_label_values


def add_fault_options(sub: ArgumentParser) -> None:
    """Add the arguments of ``faults``."""
    sub.add_argument(
        "source",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="IMAGE CORD_MASK, or a BIDS dataset with cord labels",
    )
    sub.add_argument("out_dir", type=Path, help="a new folder")
    sub.add_argument(
        "--kinds", nargs="+", choices=FAULT_KINDS, default=FAULT_KINDS, help="default: all"
    )
    sub.add_argument(
        "--seed", type=int, default=FAULT_SEED, help="of the first image (default: 106000)"
    )
    sub.add_argument(
        "--labels", type=Path, metavar="DIR", help="of a dataset (default: derivatives/labels)"
    )
    add_label_values(sub)


def draw_faults(given: Namespace) -> None:
    """Write the dataset.

    Raises
    ------
    UsageError
        If the sources are none of the two forms, or the output folder is not empty.
    NoInputError
        If nobody drew a cord in the dataset.
    """
    from spinalprep.phantom.fault_dataset import Labelled, write_faults
    from spinalprep.training.material.cases import find_cases

    if given.out_dir.is_dir() and any(given.out_dir.iterdir()):
        raise UsageError(f"{given.out_dir} is not empty; give a new folder")
    if len(given.source) > 2:
        raise UsageError("faults: expected IMAGE CORD_MASK OUT_DIR, or BIDS_DIR OUT_DIR")
    if len(given.source) == 2:
        image, cord = given.source
        labelled = [Labelled(image, cord, dict(given.label_values))]
    else:
        drawn = [c for c in find_cases(given.source[0], given.labels) if "cord" in c.truth]
        labelled = [Labelled(c.image, c.truth["cord"], dict(given.label_values)) for c in drawn]
    if missing := [p for one in labelled for p in (one.image, one.cord) if not p.is_file()]:
        raise UsageError(f"{missing[0]} is not a file; expected an image and its cord mask")
    write_faults(labelled, given.out_dir, given.kinds, given.seed)
    LOG.info(
        "%d labeled images with %d artifacts in %s", len(labelled), len(given.kinds), given.out_dir
    )
