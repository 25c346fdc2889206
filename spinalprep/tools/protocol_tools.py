"""The command that trains the table of a paper."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from spinalprep.training.protocol.lumbar_run import LumbarStudy


def add_protocol_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``protocol`` by ``command``, with a paper as its first word."""
    papers = command("protocol", None, "train the table of a paper").add_subparsers(
        required=True, metavar="PAPER"
    )
    for name, carry_out, add, text in (
        ("ra-unet", _ra_unet, _add_ra_unet, "Bueno et al. 2022, nine rows, on your own cord masks"),
        ("lumbar", _lumbar, _add_lumbar, "Sáenz-Gamboa et al. 2021, eight rows, synthetic people"),
    ):
        sub = papers.add_parser(name, help=text, description=text)
        sub.set_defaults(carry_out=carry_out)
        add(sub)
        sub.add_argument("--rows", nargs="+", metavar="ROW", help="train these rows only")
        sub.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each row")
        sub.add_argument(
            "--rate-factor", type=float, default=1.0, help="multiply all learning rates (1)"
        )
        add_threads(sub)
        add_device(sub)


def _add_ra_unet(sub: ArgumentParser) -> None:
    sub.add_argument("bids", type=Path, metavar="bids_dir", help="dataset with cord masks")
    add_dataset(sub)
    sub.add_argument(
        "--other-site", type=Path, metavar="DIR", help="labeled dataset that is only tested on"
    )
    sub.add_argument(
        "--all-folds", action="store_true", help="test on every fold in turn, not on the first only"
    )
    _add_numbers(
        sub,
        ("folds", 5, "folds of people"),
        ("filters", 32, "filters in the first level; the paper does not state them"),
        ("epochs", 30, "longest training"),
        ("slices", 1000, "slices of an image, at most"),
        ("passes", 1, "passes over all slices in an epoch"),
        ("batch", 15, "slices in a batch"),
        ("size", 256, "height and width that slices are resized to, in pixels"),
        ("range-steps", 200, "steps of the learning-rate range test"),
    )


def _add_lumbar(sub: ArgumentParser) -> None:
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="output folder")
    sub.add_argument(
        "--first-fold-only", action="store_true", help="one training of each row, no ensemble"
    )
    _add_numbers(
        sub,
        ("people", 60, "synthetic subjects that folds share out"),
        ("slices", 12, "slices of each"),
        ("tested", 15, "further synthetic subjects, only tested on"),
        ("first-tested", 125_000, "seed of the first of them"),
        ("folds", 5, "folds of people; each in turn tells when to stop"),
        ("steps", 20_000, "steps of a training"),
        ("batch", 15, "patches in a batch"),
        ("size", 256, "height and width of a patch, in pixels of 1 mm"),
        ("divisor", 1, "the published numbers of first filters are divided by it"),
    )


def _add_numbers(sub: ArgumentParser, *options: tuple[str, int, str]) -> None:
    for name, default, text in options:
        sub.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")


def _check_rows(given: Namespace, known: Iterable[str]) -> None:
    """Refuse a row that the paper has not."""
    unknown = sorted(set(given.rows or ()) - set(known))
    if unknown:
        raise UsageError(f"--rows {' '.join(unknown)}: expected some of {', '.join(known)}")


def _ra_unet(given: Namespace) -> None:
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

    _check_rows(given, BY_NAME)
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


def _lumbar(given: Namespace) -> None:
    """Train what has no result yet, fold after fold; write the table after every row."""
    from spinalprep.training.material.lumbar import draw_lumbar_slices
    from spinalprep.training.protocol.lumbar_rows import LUMBAR_BY_NAME, LUMBAR_ROWS
    from spinalprep.training.protocol.lumbar_run import (
        LumbarStudy,
        LumbarTurn,
        run_ensemble,
        run_lumbar_turn,
    )
    from spinalprep.training.protocol.run import keep_protocol

    _check_rows(given, LUMBAR_BY_NAME)
    prepare_torch(given)
    device = find_device(given.device).kind
    names = LumbarStudy.__match_args__
    study = LumbarStudy(**{name: getattr(given, name) for name in names})
    keep_protocol(asdict(study), given.out_dir)
    material = draw_lumbar_slices(range(study.people), study.slices)
    rows = [row for row in LUMBAR_ROWS if given.rows is None or row.name in given.rows]
    folds = range(1, 2 if given.first_fold_only else study.folds + 1)
    for seed, fold in [(seed, fold) for seed in range(given.seeds) for fold in folds]:
        for row in rows:
            run_lumbar_turn(LumbarTurn(row, seed, fold), study, material, given.out_dir, device)
            text = _write_lumbar(given.out_dir, study)
    for row, seed in [(row, seed) for seed in range(given.seeds) for row in rows]:
        run_ensemble(row, seed, study, given.out_dir)
        text = _write_lumbar(given.out_dir, study)
    for line in text.splitlines():
        LOG.info("%s", line)


def _write_lumbar(out_dir: Path, study: "LumbarStudy") -> str:
    """Write the table of what was run so far, and return it."""
    from spinalprep.training.protocol.lumbar_table import (
        as_lumbar_markdown,
        make_lumbar_table,
        read_counts,
    )

    table = make_lumbar_table(read_counts(out_dir))
    path = out_dir / "table.tsv"
    table.to_csv(path, sep="\t", index=False, float_format="%.2f", na_rep="n/a")
    text = as_lumbar_markdown(table, study)
    (out_dir / "table.md").write_text(text)
    return text
