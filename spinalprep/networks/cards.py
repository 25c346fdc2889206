"""Weight files and the JSON cards beside them; read without torch."""

import json
import struct
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from spinalprep.errors import ModelError


def packaged_weights(name: str) -> Path:
    """Return the path of weights that ship with the package (``"cord"``, say)."""
    return Path(str(files("spinalprep") / "data" / "weights" / f"{name}.safetensors"))


def packaged_names() -> list[str]:
    """Return the names of the weights that ship with the package."""
    return sorted(path.stem for path in packaged_weights("any").parent.glob("*.safetensors"))


def find_weights(name: Path | str) -> Path:
    """Return the path of a weight file, or of the packaged weights of that name."""
    is_file = Path(name).suffix in (".safetensors", ".onnx")
    return Path(name) if is_file else packaged_weights(str(name))


def card_path(weights: Path) -> Path:
    """Return where the card of a weight file is: ``.json``, or ``.onnx.json`` for ONNX."""
    onnx = Path(weights).suffix == ".onnx"
    return Path(weights).with_suffix(".onnx.json" if onnx else ".json")


def read_card(weights: Path) -> dict[str, Any]:
    """Read the card beside a weight file and check the file against it.

    Raises
    ------
    ModelError
        If weights or card are missing, unreadable or don't belong together, or if the weights are
        cut short.
    """
    for path in (weights, card_path(weights)):
        if not path.is_file():
            raise ModelError(f"{path} is missing; expected weights and their .json card")
    try:
        card: dict[str, Any] = json.loads(card_path(weights).read_bytes())
        expected = card["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{card_path(weights)} is not a model card ({error!r})") from error
    content = weights.read_bytes()
    found = sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            f"{weights} has sha256 {found[:12]}, its card says {str(expected)[:12]}: the file "
            "is damaged or belongs to another version; reinstall it"
        )
    if not isinstance(card.get("preset"), str) and weights.suffix == ".safetensors":
        preset = card.get("preset")
        raise ModelError(f"{card_path(weights)} asks for preset {preset!r}; expected a name")
    if weights.suffix == ".safetensors" and not _holds_its_tensors(content):
        raise ModelError(f"{weights} does not hold the tensors that its header lists; reinstall it")
    return card


def _holds_its_tensors(content: bytes) -> bool:
    """Tell whether a safetensors file is as long as its header says, before a task loads it."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        head = json.loads(content[8 : 8 + length])
        ends = [told["data_offsets"][1] for name, told in head.items() if name != "__metadata__"]
        return bool(8 + length + max(ends, default=0) == len(content))
    except (struct.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
