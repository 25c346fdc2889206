"""Words to train networks, to adapt them, and to judge them."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinalprep.app.log import LOG
from spinalprep.defaults import LESION_THRESHOLD
from spinalprep.device import find_device
from spinalprep.errors import UsageError
from spinalprep.flags import named_class, named_path, share
from spinalprep.training.packaged import packaged_recipes

if TYPE_CHECKING:
    from spinalprep.training.evaluation.predictions import Predictions
    from spinalprep.training.material.cases import Case
    from spinalprep.training.material.dataset import LabelledDataset
    from spinalprep.training.options import RunOptions


def add_training_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``train``, ``finetune``, ``evaluate`` by ``command``."""
    _add_train(command("train", _train, "train the network of a recipe"))
    _add_finetune(command("finetune", _finetune, "adapt a network to your own labels"))
    _add_evaluate(command("evaluate", _evaluate, "compare a run, or networks, with manual labels"))


def add_post_process(sub: ArgumentParser) -> None:
    """Add ``--post-process``, of probability maps."""
    sub.add_argument(
        "--post-process",
        nargs="+",
        choices=("crf", "edge", "largest"),
        default=[],
        metavar="STEP",
        help="of cord and lesion maps: crf, a conditional random field; edge, move the outline of "
        "the cord to the edge visible in the image; largest, keep only the largest component of "
        "each (default: none)",
    )


def add_threads(sub: ArgumentParser) -> None:
    """Add ``--threads``, of torch."""
    every = len(os.sched_getaffinity(0))
    sub.add_argument("--threads", type=int, default=every, metavar="N", help="default: all")


def add_device(sub: ArgumentParser) -> None:
    """Add ``--device``, of networks."""
    sub.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="of networks; auto: a GPU that torch sees, otherwise the CPU (default: auto)",
    )


def _add_train(sub: ArgumentParser) -> None:
    recipes = ", ".join(packaged_recipes())
    sub.add_argument("name", help=f"{recipes}; or your own recipe (.toml)")
    where = sub.add_mutually_exclusive_group()
    where.add_argument(
        "--shared",
        type=Path,
        default=Path("../shared"),
        help="folder with data/ that the packaged networks were trained on (default: ../shared)",
    )
    where.add_argument("--bids", type=Path, metavar="DIR", help="your own labeled dataset")
    add_dataset(sub)
    sub.add_argument("--steps", type=int, help="instead of the recipe's")
    sub.add_argument(
        "--start",
        metavar="WEIGHTS",
        help="packaged network, or a .safetensors file of the same preset, to train further",
    )
    _add_run(sub, "validation subjects for early stopping, not used for training", patience=5)
    sub.add_argument(
        "--range-test", action="store_true", help="find learning rates instead of training"
    )


def _add_finetune(sub: ArgumentParser) -> None:
    sub.add_argument("name", help="packaged network, or a .safetensors file to start from")
    text = "dataset with labels of cord, gray matter or lesions"
    sub.add_argument("bids", type=Path, metavar="bids_dir", help=text)
    add_dataset(sub)
    sub.add_argument("--steps", type=int, help="default: 400")
    sub.add_argument("--rate", type=float, default=3e-4, help="peak learning rate (default: 3e-4)")
    sub.add_argument(
        "--freeze", type=int, default=0, metavar="N", help="do not train the first N blocks"
    )
    _add_run(sub, "validation subjects for early stopping (default: a quarter of all)", patience=6)


def _add_evaluate(sub: ArgumentParser) -> None:
    sub.add_argument("bids", type=Path, metavar="bids_dir", help="dataset with labels")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--derivatives", type=Path, metavar="DIR", help="outputs of spinalprep")
    what.add_argument(
        "--weights",
        nargs="+",
        metavar="WEIGHTS",
        default=["centerline", "cord", "gm", "lesion"],
        help="centerline, cord, and where they have their own gray matter and lesions: files, or "
        "names of packaged networks, in any order (default: the packaged ones)",
    )
    add_dataset(sub)
    sub.add_argument(
        "--participant-label", nargs="+", metavar="LABEL", help="only these participants"
    )
    sub.add_argument(
        "--raters",
        nargs="+",
        type=named_path,
        default=[],
        metavar="NAME=DIR",
        help="label folders of further raters: agreement between raters, and of the network with "
        "each of them",
    )
    sub.add_argument(
        "--lesion-threshold",
        type=share,
        default=LESION_THRESHOLD,
        metavar="P",
        help="with --weights (default: %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_post_process(sub)
    add_threads(sub)
    add_device(sub)


def add_label_values(sub: ArgumentParser) -> None:
    """Add ``--label-values``, as of the App."""
    sub.add_argument(
        "--label-values",
        nargs="+",
        type=named_class,
        default=[],
        metavar="STRUCTURE=VALUE",
        help="value of cord, gm or lesion in labels of several classes, where no look-up table "
        "beside them says so",
    )


def add_dataset(sub: ArgumentParser) -> None:
    """Add what is told of a dataset of one's own, and where results go."""
    sub.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="folder of manual labels (default: derivatives/labels of the dataset)",
    )
    add_label_values(sub)
    sub.add_argument(
        "--person-column",
        metavar="NAME",
        help="column of participants.tsv that identifies the person",
    )
    sub.add_argument(
        "--same-person",
        nargs="+",
        default=[],
        metavar="LABEL=PERSON",
        help="person to whom a participant label belongs, if one person has several",
    )
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="output folder")


def _add_run(sub: ArgumentParser, stopped_by: str, patience: int) -> None:
    """Add who is spared, when to stop, and on what it runs."""
    people = "PERSON[,PERSON]"
    out = sub.add_mutually_exclusive_group()
    out.add_argument(
        "--leave-out",
        "--hold-out",
        nargs="+",
        default=[],
        metavar=people,
        help="hold these subjects out for testing",
    )
    out.add_argument("--fold", metavar="K/N", help="hold out the subjects of fold K of N")
    sub.add_argument("--validate", nargs="+", default=[], metavar=people, help=stopped_by)
    sub.add_argument(
        "--patience",
        type=int,
        default=patience,
        help="number of evaluations without improvement before stopping (default: %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=0, help="default: 0")
    add_threads(sub)
    add_device(sub)


def _train(given: Namespace) -> None:
    from spinalprep.training.material.dataset import described_dataset
    from spinalprep.training.recipes import find_recipe
    from spinalprep.training.train import find_rates, start_from, train

    prepare_torch(given)
    recipe, options = find_recipe(given.name), _run_options(given)
    start = start_from(given.start, recipe) if given.start is not None else None
    if given.bids is None:
        dataset = described_dataset(recipe.dataset, given.shared)
    else:
        dataset = own_dataset(given)
    if given.range_test:
        bounds = find_rates(recipe, dataset, given.out_dir, options)
        LOG.info("learning rates from %.2g to %.2g; %s/range_test.png", *bounds, given.out_dir)
        return
    LOG.info("%s", train(recipe, dataset, given.out_dir, options, start))


def _finetune(given: Namespace) -> None:
    from spinalprep.training.finetune import finetune

    prepare_torch(given)
    told = own_dataset(given), given.out_dir, _run_options(given)
    path = finetune(given.name, *told, rate=given.rate, freeze=given.freeze)
    LOG.info("%s; use it: spinalprep ... --model %s=%s", path, path.stem, path)


def _evaluate(given: Namespace) -> None:
    """Print the summary; tables and pictures go to the output folder."""
    from spinalprep.training.evaluation.evaluate import evaluate
    from spinalprep.training.evaluation.summary import format_summary
    from spinalprep.training.evaluation.trained_on import TrainedOn

    if given.derivatives is not None and given.post_process:
        raise UsageError("--post-process applies to --weights, not to results in a folder")
    check_folders(given.derivatives)
    dataset = own_dataset(given)
    prepare_torch(given)
    cases = dataset.cases(given.participant_label)
    predict, cards = _predictor(given)
    known = TrainedOn(cards, dataset.name)
    for line in format_summary(evaluate(cases, predict, given.out_dir, known, given.seed)):
        LOG.info("%s", line)
    LOG.info("%s", given.out_dir / "evaluation.tsv")
    if given.raters:
        _compare_raters(given, cases, predict)


def _compare_raters(
    given: Namespace, cases: "list[Case]", predict: "Callable[[Path], Predictions]"
) -> None:
    """Print how far raters agree with each other, and the network with each of them."""
    from dataclasses import replace

    from spinalprep.training.evaluation.raters import compare_raters

    raters = {"manual": cases}
    for name, folder in given.raters:
        check_folders(folder)
        if name in raters:
            raise UsageError(f"--raters {name}: the name is taken; expected another one")
        dataset = replace(own_dataset(given), labels=folder)
        raters[name] = dataset.cases(given.participant_label)
    summary = compare_raters(raters, predict, given.out_dir, given.seed)
    for line in summary.to_string(index=False, na_rep="n/a", float_format="%.3f").splitlines():
        LOG.info("%s", line)


def _predictor(given: Namespace) -> "tuple[Callable[[Path], Predictions], list[dict[str, Any]]]":
    """Return what is judged, a folder or networks, and the cards of the networks."""
    from functools import partial

    from spinalprep.networks.cards import packaged_names, packaged_weights, read_card
    from spinalprep.networks.cascade import by_task
    from spinalprep.networks.weights import load_model
    from spinalprep.training.evaluation.predictions import from_folder, from_networks

    if given.derivatives is not None:
        cards = [read_card(packaged_weights(name)) for name in packaged_names()]
        return partial(from_folder, given.derivatives), cards
    models = tuple(load_model(name) for name in given.weights)
    if not {"centerline", "cord"} <= set(by_task(models)):
        raise UsageError("--weights: expected networks of centerline and cord at least")
    predict = partial(
        from_networks,
        models=models,
        lesion_threshold=given.lesion_threshold,
        post_process=tuple(given.post_process),
    )
    return predict, [model.card for model in models]


def own_dataset(given: Namespace) -> "LabelledDataset":
    """Return the user's own dataset, in which everybody is an ordinary person."""
    from spinalprep.training.material.cases import read_persons
    from spinalprep.training.material.dataset import user_dataset

    check_folders(given.bids, given.labels)
    persons = read_persons(given.bids, given.person_column, given.same_person)
    return user_dataset(given.bids, given.labels, persons, dict(given.label_values))


def _run_options(given: Namespace) -> "RunOptions":
    """Return what a training is told beside recipe and data."""
    from spinalprep.training.material.people import parse_fold, parse_people
    from spinalprep.training.options import RunOptions

    return RunOptions(
        seed=given.seed,
        steps=given.steps,
        leave_out=parse_people(given.leave_out),
        fold=parse_fold(given.fold) if given.fold else None,
        validate=parse_people(given.validate),
        patience=given.patience,
        device=find_device(given.device).kind,
    )


def prepare_torch(given: Namespace) -> None:
    """Set the number of threads and the device; refuse a GPU that is not there."""
    import torch

    os.environ.update(find_device(getattr(given, "device", "cpu")).environment())
    torch.set_num_threads(given.threads)


def check_folders(*folders: Path | None) -> None:
    """Refuse what is no folder."""
    for folder in folders:
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")
