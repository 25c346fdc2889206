"""The command that trains the table of a paper."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from spinalprep.app.log import LOG
from spinalprep.device import find_device
from spinalprep.errors import UsageError
from spinalprep.tools.training_tools import (
    add_dataset,
    add_device,
    add_threads,
    check_folders,
    own_dataset,
    prepare_torch,
)


def add_protocol_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``protocol`` by ``command``."""
    sub = command("protocol", _protocol, "train the table of a paper on your own labels")
    sub.add_argument("name", choices=("ra-unet",), help="ra-unet: Bueno et al. 2022, nine rows")
    sub.add_argument("bids", type=Path, metavar="bids_dir", help="dataset with cord masks")
    add_dataset(sub)
    sub.add_argument(
        "--other-site", type=Path, metavar="DIR", help="labeled dataset that is only tested on"
    )
    sub.add_argument("--rows", nargs="+", metavar="ROW", help="train these rows only")
    sub.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each row")
    sub.add_argument(
        "--all-folds", action="store_true", help="test on every fold in turn, not on the first only"
    )
    for name, default, text in (
        ("folds", 5, "folds of people"),
        ("filters", 32, "filters in the first level; the paper does not state them"),
        ("epochs", 30, "longest training"),
        ("slices", 1000, "slices of an image, at most"),
        ("passes", 1, "passes over all slices in an epoch"),
        ("batch", 15, "slices in a batch"),
        ("size", 256, "height and width that slices are resized to, in pixels"),
    ):
        sub.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")
    sub.add_argument(
        "--rate-factor", type=float, default=1.0, help="multiply all learning rates (1)"
    )
    sub.add_argument(
        "--range-steps", type=int, default=200, help="steps of the learning-rate range test (200)"
    )
    add_threads(sub)
    add_device(sub)


def _protocol(given: Namespace) -> None:
    """Train what has no result yet; write table and pictures after every row."""
    from spinalprep.training.material.cases import find_cases
    from spinalprep.training.material.whole_slices import read_whole_slices
    from spinalprep.training.protocol.rows import BY_NAME, ROWS
    from spinalprep.training.protocol.run import (
        Protocol,
        Sites,
        Turn,
        check_protocol,
        run_range_test,
        run_turn,
    )

    unknown = sorted(set(given.rows or ()) - set(BY_NAME))
    if unknown:
        raise UsageError(f"--rows {' '.join(unknown)}: expected some of {', '.join(BY_NAME)}")
    check_folders(given.other_site)
    prepare_torch(given)
    device = find_device(given.device).kind
    protocol = Protocol(
        filters=given.filters,
        epochs=given.epochs,
        batch=given.batch,
        size=given.size,
        slices=given.slices,
        passes=given.passes,
        rate_factor=given.rate_factor,
        folds=given.folds,
    )
    own = read_whole_slices(own_dataset(given).cases(), protocol.size, protocol.slices)
    other = None
    if given.other_site is not None:
        other = read_whole_slices(find_cases(given.other_site), protocol.size, protocol.slices)
    sites = Sites(own, other)
    check_protocol(protocol, sites, given.out_dir)
    run_range_test(sites, protocol, given.out_dir, given.range_steps, device)
    rows = [row for row in ROWS if given.rows is None or row.name in given.rows]
    folds = range(1, protocol.folds + 1 if given.all_folds else 2)
    for turn in [Turn(r, seed, k) for seed in range(given.seeds) for k in folds for r in rows]:
        run_turn(turn, sites, protocol, given.out_dir, device)
        text = _write(given.out_dir, protocol, own.people)
    for line in text.splitlines():
        LOG.info("%s", line)


def _write(out_dir: Path, protocol: object, people: tuple[str, ...]) -> str:
    """Write table and pictures of what was run so far, and return the table."""
    from spinalprep.training.protocol.pictures import draw_pictures
    from spinalprep.training.protocol.run import Protocol
    from spinalprep.training.protocol.table import as_markdown, make_table, read_results

    assert isinstance(protocol, Protocol)
    results = read_results(out_dir)
    table = make_table(results)
    table.to_csv(out_dir / "table.tsv", sep="\t", index=False)
    text = as_markdown(table, protocol, people)
    (out_dir / "table.md").write_text(text)
    draw_pictures(results, out_dir)
    return text
