"""The command ``spinalprep-tools``: helpers around the BIDS App."""

import os
import platform
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from spinalprep import __version__
from spinalprep.app.log import LOG, start_log
from spinalprep.errors import InputError, SpinalprepError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a helper and return its exit code."""
    start_log()
    given = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        given.carry_out(given)
    except SpinalprepError as error:
        LOG.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> ArgumentParser:
    """Return the parser of ``spinalprep-tools``."""
    parser = ArgumentParser("spinalprep-tools", description="Helpers around spinalprep.")
    parser.add_argument("--version", action="version", version=f"spinalprep {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, carry_out: object, text: str) -> ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(carry_out=carry_out)
        return sub

    sub = command("phantom", _phantom, "write a synthetic BIDS dataset with its truth")
    sub.add_argument("out_dir", type=Path)
    sub.add_argument("-n", "--people", type=int, default=2)
    sub.add_argument("--seed", type=int, default=100_000)
    sub.add_argument(
        "--group", action="store_true", help="a cohort with derivatives, for the group level"
    )
    sub.add_argument("--template", help="NAME_OR_PATH, of the cohort (default: Generic)")
    sub = command("segment", _segment, "find the cord in one image, without BIDS")
    sub.add_argument("image", type=Path)
    sub.add_argument("-o", "--out-dir", type=Path, default=Path())
    sub = command("train", _train, "train the network of a recipe")
    sub.add_argument("name", help="centerline or cord")
    sub.add_argument("--shared", type=Path, default=Path("../shared"), help="training data")
    sub.add_argument("-o", "--out-dir", type=Path, required=True)
    sub.add_argument("--steps", type=int, help="in place of the recipe's")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    sub.add_argument("--hold-out", nargs="+", default=[], metavar="PERSON")
    _add_evaluate(command("evaluate", _evaluate, "compare a run, or networks, with manual labels"))
    sub = command("template", _template, "show which template is found, or fetch PAM50")
    sub.add_argument("action", choices=("show", "fetch"))
    sub.add_argument("--template", help="NAME_OR_PATH, as for spinalprep")
    command("models", _models, "show the cards of the packaged networks")
    command("doctor", _doctor, "check weights, template, threads and disk")
    return parser


def _add_evaluate(sub: ArgumentParser) -> None:
    sub.add_argument("bids_dir", type=Path, help="dataset with labels")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--derivatives", type=Path, metavar="DIR", help="outputs of spinalprep")
    what.add_argument(
        "--weights",
        nargs=2,
        metavar=("CENTERLINE", "CORD"),
        default=["centerline", "cord"],
        help=".safetensors files or names of packaged networks (default: the packaged ones)",
    )
    sub.add_argument("-o", "--out-dir", type=Path, required=True)
    sub.add_argument("--labels", type=Path, help="(default: derivatives/labels of the dataset)")
    sub.add_argument("--participant-label", nargs="+", metavar="LABEL", help="these alone")
    sub.add_argument("--person-column", help="column of participants.tsv that names the person")
    sub.add_argument("--same-person", nargs="+", default=[], metavar="LABEL=PERSON")
    sub.add_argument("--lesion-threshold", type=float, default=0.8, help="with --weights")
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    sub.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))


def _phantom(given: Namespace) -> None:
    from spinalprep.phantom.dataset import write_dataset

    if given.out_dir.is_dir() and any(given.out_dir.iterdir()):
        raise UsageError(f"{given.out_dir} is not empty; give a new folder")
    if given.group:
        from spinalprep.phantom.cohort import write_cohort
        from spinalprep.template.files import resolve_template

        template = resolve_template(given.template or "Generic")
        write_cohort(given.out_dir, template, given.people, given.seed)
    else:
        write_dataset(given.out_dir, given.people, given.seed)
    LOG.info("%d digital persons in %s", given.people, given.out_dir)


def _segment(given: Namespace) -> None:
    """Segment one file; write cord, grey matter and lesions beside each other."""
    import numpy as np

    from spinalprep.bids.names import image_stem
    from spinalprep.cord.centerline import fit_centerline
    from spinalprep.cord.ends import clip_centerline, cord_extent, describe_ends
    from spinalprep.cord.mask import binarise
    from spinalprep.cord.trace import trace_centerline
    from spinalprep.image import save
    from spinalprep.image.sanity import conform
    from spinalprep.networks.predict import find_heat, segment
    from spinalprep.networks.weights import load_model

    image = conform(given.image)
    trace = trace_centerline(find_heat(image, load_model("centerline")))
    line = fit_centerline(trace.points, trace.confidence)
    found = segment(image, line, load_model("cord"))
    first, last = cord_extent(image.with_data(found.cord))
    for text in describe_ends(image.with_data(found.cord), first, last):
        LOG.warning("%s", text)
    for data in (found.cord, found.gm, found.lesion):
        data[:, :, :first] = data[:, :, last + 1 :] = 0
    line = clip_centerline(line, image, first, last)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    stem = image_stem(given.image)
    mask = binarise(image.with_data(found.cord), line)
    path = given.out_dir / f"{stem}_label-SC_mask.nii.gz"
    save(image.with_data(mask), path, dtype=np.uint8)
    for name, data in (("SC", found.cord), ("GM", found.gm), ("lesion", found.lesion)):
        save(image.with_data(data), given.out_dir / f"{stem}_label-{name}_probseg.nii.gz")
    LOG.info("%s", path)


def _train(given: Namespace) -> None:
    import torch

    from spinalprep.training.train import train

    torch.set_num_threads(given.threads)
    out_dir, held = given.out_dir, tuple(given.hold_out)
    path = train(given.name, out_dir, given.shared, given.seed, given.steps, held)
    LOG.info("%s", path)


def _evaluate(given: Namespace) -> None:
    """Print the summary; tables and pictures go to the output folder."""
    from functools import partial

    import torch

    from spinalprep.networks.cards import packaged_weights, read_card
    from spinalprep.networks.weights import load_model
    from spinalprep.training.answers import from_folder, from_networks
    from spinalprep.training.evaluate import evaluate, find_cases, read_persons
    from spinalprep.training.summary import format_summary

    for folder in (given.bids_dir, given.labels, given.derivatives):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")
    torch.set_num_threads(given.threads)
    persons = read_persons(given.bids_dir, given.person_column, given.same_person)
    cases = find_cases(given.bids_dir, given.labels, persons, given.participant_label)
    if given.derivatives is not None:
        answer = partial(from_folder, given.derivatives)
        cards = [read_card(packaged_weights(name)) for name in ("centerline", "cord")]
    else:
        models = load_model(given.weights[0]), load_model(given.weights[1])
        answer = partial(from_networks, models=models, lesion_threshold=given.lesion_threshold)
        cards = [model.card for model in models]
    for line in format_summary(evaluate(cases, answer, given.out_dir, cards, given.seed)):
        LOG.info("%s", line)
    LOG.info("%s", given.out_dir / "evaluation.tsv")


def _template(given: Namespace) -> None:
    from spinalprep.template.files import resolve_template

    if given.action == "fetch":
        from spinalprep.template.fetch import fetch
        from spinalprep.template.files import cache_folder

        found = fetch(cache_folder(os.environ) / "PAM50")
        LOG.info("%s (%s) in %s", found.name, found.version, found.folder)
        return
    template = resolve_template(given.template)
    LOG.info("%s (%s) in %s", template.name, template.version, template.folder)


def _models(_: Namespace) -> None:
    from spinalprep.networks.cards import packaged_weights, read_card

    for name in ("centerline", "cord"):
        for key, value in read_card(packaged_weights(name)).items():
            LOG.info("%s %s: %s", name, key, value)


def _doctor(_: Namespace) -> None:
    """Check one thing after the other; the first that is broken ends it."""
    from spinalprep.networks.weights import load_model
    from spinalprep.template.files import resolve_template

    LOG.info("spinalprep %s, Python %s", __version__, platform.python_version())
    for name in ("centerline", "cord"):
        LOG.info("weights %s: %s", name, load_model(name).card["sha256"][:12])
    template = resolve_template(None)
    LOG.info("template: %s (%s)", template.name, template.version)
    LOG.info("processors: %d", len(os.sched_getaffinity(0)))
    free = shutil.disk_usage(".").free / 1e9
    LOG.info("free disk: %.0f GB", free)
    if free < 2:
        raise InputError("less than 2 GB of disk are free here; a participant needs about 1 GB")
