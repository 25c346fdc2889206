"""Helpers around the networks: use them on a file, look at them, export them."""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from pathlib import Path

from spinalprep.app.log import LOG
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.errors import UsageError
from spinalprep.flags import named_path, share, volume
from spinalprep.tools.training_tools import add_device, add_post_process, add_threads, prepare_torch


def add_network_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``segment`` and ``models`` by ``command``."""
    _add_segment(command("segment", _segment, "segment the cord in a single image, without BIDS"))
    _add_models(command("models", _models, "show cards, export to ONNX, calibrate"))


def _add_segment(sub: ArgumentParser) -> None:
    sub.add_argument("image", type=Path, help="NIfTI file of any orientation")
    sub.add_argument(
        "-o", "--out-dir", type=Path, default=Path(), help="output folder (default: current folder)"
    )
    sub.add_argument(
        "--model",
        nargs="+",
        type=named_path,
        default=[],
        metavar="NAME=PATH",
        help="your own weights for centerline, cord, gm or lesion",
    )
    sub.add_argument(
        "--lesion-threshold",
        type=share,
        default=LESION_THRESHOLD,
        metavar="P",
        help="upper hysteresis threshold of lesions; the lower one is 0.6 (default: %(default)s)",
    )
    sub.add_argument(
        "--min-lesion-mm3",
        type=volume,
        default=MIN_LESION_MM3,
        metavar="MM3",
        help="minimum volume of a lesion (default: %(default)s)",
    )
    sub.add_argument(
        "--gm",
        action=BooleanOptionalAction,
        help="segment gray matter (default: if the name ends in T2starw or MTS)",
    )
    sub.add_argument(
        "--views",
        type=int,
        choices=(1, 2, 3, 4),
        default=4,
        help=(
            "number of augmented views: unmodified, mirrored, darker, brighter; 1 is fastest "
            "and gives no spread (default: 4)"
        ),
    )
    add_post_process(sub)
    add_threads(sub)
    add_device(sub)


def _add_models(sub: ArgumentParser) -> None:
    sub.add_argument(
        "action",
        nargs="?",
        choices=("show", "export", "calibrate"),
        default="show",
        help=(
            "show: the card; export: write ONNX; calibrate: measure the temperature and write "
            "it to the card (default: show)"
        ),
    )
    sub.add_argument("name", nargs="?", help="packaged network or weight file (show: all packaged)")
    sub.add_argument("-o", "--out-file", type=Path, metavar="FILE.onnx", help="with export")


def _segment(given: Namespace) -> None:
    """Segment one file and say what was found."""
    from spinalprep.tools.segment import Wishes, describe_result, segment_file

    prepare_torch(given)
    wishes = Wishes(
        given.lesion_threshold,
        given.min_lesion_mm3,
        given.gm,
        given.views,
        tuple(given.post_process),
    )
    result = segment_file(given.image, given.out_dir, dict(given.model), wishes)
    LOG.info("%s: %s", given.image.name, describe_result(result))


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
