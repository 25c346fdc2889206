"""Helpers around the networks: use, train and judge them."""

import os
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from spinalprep.app.log import LOG
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.errors import UsageError
from spinalprep.flags import named_path, share, volume

if TYPE_CHECKING:
    from spinalprep.training.material.labelled import Dataset


def add_network_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``segment``, ``train``, ``finetune``, ``evaluate``, ``models`` by ``command``."""
    _add_segment(command("segment", _segment, "find the cord in one image, without BIDS"))
    _add_train(command("train", _train, "train the network of a recipe"))
    _add_finetune(command("finetune", _finetune, "adapt a network to labels of your own"))
    _add_evaluate(command("evaluate", _evaluate, "compare a run, or networks, with manual labels"))
    _add_models(command("models", _models, "show cards, export to ONNX, calibrate"))


def _add_segment(sub: ArgumentParser) -> None:
    sub.add_argument("image", type=Path, help="NIfTI file of any orientation")
    sub.add_argument(
        "-o", "--out-dir", type=Path, default=Path(), help="where results go (default: here)"
    )
    sub.add_argument(
        "--model",
        nargs="+",
        type=named_path,
        default=[],
        metavar="NAME=PATH",
        help="weights of your own for centerline, cord, gm or lesion",
    )
    sub.add_argument(
        "--lesion-threshold",
        type=share,
        default=LESION_THRESHOLD,
        metavar="P",
        help="least probability that a lesion reaches; it goes down to 0.6 (default: %(default)s)",
    )
    sub.add_argument(
        "--min-lesion-mm3",
        type=volume,
        default=MIN_LESION_MM3,
        metavar="MM3",
        help="smaller lesions are dropped (default: %(default)s)",
    )
    sub.add_argument(
        "--gm",
        action=BooleanOptionalAction,
        help="look for grey matter (default: where the name ends in T2starw or MTS)",
    )
    sub.add_argument(
        "--views",
        type=int,
        choices=(1, 2, 3, 4),
        default=4,
        help="how often the networks look: at the image as it is, mirrored, darker, brighter; 1 is "
        "fastest and tells no spread (default: 4)",
    )
    _add_threads(sub)


def _add_train(sub: ArgumentParser) -> None:
    sub.add_argument(
        "name",
        help="centerline, cord, gm, discs; in three dimensions cord3d, gros_cord, "
        "gros_lesion; or a recipe of your own (.toml)",
    )
    where = sub.add_mutually_exclusive_group()
    where.add_argument(
        "--shared",
        type=Path,
        default=Path("../shared"),
        help="folder with data/ that the packaged networks were trained on (default: ../shared)",
    )
    where.add_argument("--bids", type=Path, metavar="DIR", help="labelled dataset of your own")
    _add_labels(sub)
    _add_persons(sub)
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="where results go")
    sub.add_argument("--steps", type=int, help="in place of the recipe's")
    sub.add_argument("--seed", type=int, default=0, help="default: 0")
    _add_threads(sub)
    out = sub.add_mutually_exclusive_group()
    out.add_argument(
        "--leave-out",
        "--hold-out",
        nargs="+",
        default=[],
        metavar="PERSON[,PERSON]",
        help="train without these people",
    )
    out.add_argument("--fold", metavar="K/N", help="train without the people of fold K of N")
    _add_people(sub, "--validate", "stop early by these people, who are not trained on")
    sub.add_argument(
        "--patience", type=int, default=5, help="stop after so many looks without gain (default: 5)"
    )
    sub.add_argument("--range-test", action="store_true", help="find learning rates, don't train")
    _add_device(sub)


def _add_people(sub: ArgumentParser, flag: str, text: str) -> None:
    sub.add_argument(flag, nargs="+", default=[], metavar="PERSON[,PERSON]", help=text)


def _add_persons(sub: ArgumentParser) -> None:
    sub.add_argument(
        "--person-column", metavar="NAME", help="column of participants.tsv that names the person"
    )
    sub.add_argument(
        "--same-person",
        nargs="+",
        default=[],
        metavar="LABEL=PERSON",
        help="whose scan a participant is, where one person has several",
    )


def _add_labels(sub: ArgumentParser) -> None:
    sub.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="folder of manual labels (default: derivatives/labels of the dataset)",
    )


def _add_threads(sub: ArgumentParser) -> None:
    every = len(os.sched_getaffinity(0))
    sub.add_argument("--threads", type=int, default=every, metavar="N", help="default: all")


def _add_device(sub: ArgumentParser) -> None:
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")


def _add_finetune(sub: ArgumentParser) -> None:
    sub.add_argument("name", help="packaged network, or a .safetensors file to start from")
    sub.add_argument("bids_dir", type=Path, help="dataset with labels of cord or grey matter")
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="where results go")
    _add_labels(sub)
    _add_persons(sub)
    _add_people(sub, "--leave-out", "don't touch these people, to judge on them")
    _add_people(sub, "--validate", "stop early by these people (default: a quarter of all)")
    sub.add_argument("--steps", type=int, default=400, help="default: 400")
    sub.add_argument("--rate", type=float, default=3e-4, help="peak learning rate (default: 3e-4)")
    sub.add_argument(
        "--freeze", type=int, default=0, metavar="N", help="keep the first N blocks as they are"
    )
    sub.add_argument(
        "--patience", type=int, default=6, help="stop after so many looks without gain (default: 6)"
    )
    sub.add_argument("--seed", type=int, default=0, help="default: 0")
    _add_threads(sub)
    _add_device(sub)


def _add_evaluate(sub: ArgumentParser) -> None:
    sub.add_argument("bids_dir", type=Path, help="dataset with labels")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--derivatives", type=Path, metavar="DIR", help="outputs of spinalprep")
    what.add_argument(
        "--weights",
        nargs="+",
        metavar="WEIGHTS",
        default=["centerline", "cord", "gm", "lesion"],
        help="centerline, cord, and where they have their own grey matter and lesions: files, or "
        "names of packaged networks, in any order (default: the packaged ones)",
    )
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="where results go")
    _add_labels(sub)
    sub.add_argument("--participant-label", nargs="+", metavar="LABEL", help="these alone")
    _add_persons(sub)
    sub.add_argument(
        "--lesion-threshold",
        type=share,
        default=LESION_THRESHOLD,
        metavar="P",
        help="with --weights (default: %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    _add_threads(sub)


def _add_models(sub: ArgumentParser) -> None:
    sub.add_argument(
        "action",
        nargs="?",
        choices=("show", "export", "calibrate"),
        default="show",
        help="show: the card; export: write ONNX; calibrate: measure how soft probabilities are, "
        "and write it into the card (default: show)",
    )
    sub.add_argument("name", nargs="?", help="packaged network or weight file (show: all packaged)")
    sub.add_argument("-o", "--out-file", type=Path, metavar="FILE.onnx", help="with export")


def _segment(given: Namespace) -> None:
    """Segment one file and say what was found."""
    import torch

    from spinalprep.app.segment import Wishes, describe_result, segment_file

    torch.set_num_threads(given.threads)
    wishes = Wishes(given.lesion_threshold, given.min_lesion_mm3, given.gm, given.views)
    result = segment_file(given.image, given.out_dir, dict(given.model), wishes)
    LOG.info("%s: %s", given.image.name, describe_result(result))


def _train(given: Namespace) -> None:
    import torch

    from spinalprep.training.material.people import parse_fold, parse_people
    from spinalprep.training.options import Choice
    from spinalprep.training.train import find_rates, train

    _check_device(given.device)
    torch.set_num_threads(given.threads)
    choice = Choice(
        given.seed,
        given.steps,
        parse_people(given.leave_out),
        parse_fold(given.fold) if given.fold else None,
        parse_people(given.validate),
        given.patience,
        given.device,
        _own(given),
    )
    if given.range_test:
        bounds = find_rates(given.name, given.out_dir, given.shared, choice)
        LOG.info("learning rates from %.2g to %.2g; %s/range_test.png", *bounds, given.out_dir)
        return
    LOG.info("%s", train(given.name, given.out_dir, given.shared, choice))


def _own(given: Namespace) -> "Dataset | None":
    """Return the user's own dataset to train on, if there is one."""
    if given.bids is None:
        return None
    from spinalprep.training.material.cases import read_persons
    from spinalprep.training.material.labelled import Dataset

    _check_folders(given.bids, given.labels)
    persons = read_persons(given.bids, given.person_column, given.same_person)
    return Dataset(given.bids, given.labels, persons)


def _check_folders(*folders: Path | None) -> None:
    """Refuse what is no folder."""
    for folder in folders:
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")


def _finetune(given: Namespace) -> None:
    import torch

    from spinalprep.training.finetune import Tuning, finetune
    from spinalprep.training.material.cases import read_persons
    from spinalprep.training.material.people import parse_people

    _check_device(given.device)
    _check_folders(given.bids_dir, given.labels)
    torch.set_num_threads(given.threads)
    tuning = Tuning(
        steps=given.steps,
        rate=given.rate,
        seed=given.seed,
        labels=given.labels,
        persons=read_persons(given.bids_dir, given.person_column, given.same_person),
        leave_out=parse_people(given.leave_out),
        validate=parse_people(given.validate),
        patience=given.patience,
        freeze=given.freeze,
        device=given.device,
    )
    path = finetune(given.name, given.bids_dir, given.out_dir, tuning)
    LOG.info("%s; use it: spinalprep ... --model %s=%s", path, path.stem, path)


def _check_device(device: str) -> None:
    """Refuse a GPU that is not there."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here")


def _evaluate(given: Namespace) -> None:
    """Print the summary; tables and pictures go to the output folder."""
    from functools import partial

    import torch

    from spinalprep.networks.cards import packaged_names, packaged_weights, read_card
    from spinalprep.networks.cascade import by_role
    from spinalprep.networks.weights import load_model
    from spinalprep.training.evaluation.evaluate import evaluate
    from spinalprep.training.evaluation.predictions import from_folder, from_networks
    from spinalprep.training.evaluation.summary import format_summary
    from spinalprep.training.material.cases import find_cases, read_persons

    _check_folders(given.bids_dir, given.labels, given.derivatives)
    torch.set_num_threads(given.threads)
    persons = read_persons(given.bids_dir, given.person_column, given.same_person)
    cases = find_cases(given.bids_dir, given.labels, persons, given.participant_label)
    if given.derivatives is not None:
        answer = partial(from_folder, given.derivatives)
        cards = [read_card(packaged_weights(name)) for name in packaged_names()]
    else:
        models = tuple(load_model(name) for name in given.weights)
        if not {"finder", "segmenter"} <= set(by_role(models)):
            raise UsageError("--weights: expected networks of centerline and cord at least")
        answer = partial(from_networks, models=models, lesion_threshold=given.lesion_threshold)
        cards = [model.card for model in models]
    for line in format_summary(evaluate(cases, answer, given.out_dir, cards, given.seed)):
        LOG.info("%s", line)
    LOG.info("%s", given.out_dir / "evaluation.tsv")


def _models(given: Namespace) -> None:
    from spinalprep.networks.cards import find_weights, packaged_names, read_card

    if given.action != "show":
        {"export": _export, "calibrate": _calibrate}[given.action](given)
        return
    for name in [given.name] if given.name else packaged_names():
        for key, value in read_card(find_weights(name)).items():
            LOG.info("%s %s: %s", name, key, value)


def _calibrate(given: Namespace) -> None:
    """Write the temperature of a network into the card of its file."""
    from spinalprep.training.evaluation.temperature import calibrate

    if given.name is None or Path(given.name).suffix not in (".safetensors", ".onnx"):
        raise UsageError("models calibrate: expected a .safetensors or .onnx file")
    LOG.info("%s: temperature %.2f", given.name, calibrate(Path(given.name)))


def _export(given: Namespace) -> None:
    """Write a network as ONNX, with its card."""
    from spinalprep.networks.onnx import save_onnx
    from spinalprep.networks.weights import load_model

    if given.name is None or given.out_file is None or given.out_file.suffix != ".onnx":
        raise UsageError("models export: expected NAME -o FILE.onnx")
    model = load_model(given.name)
    LOG.info("%s", save_onnx(model.network, given.out_file, model.card))
