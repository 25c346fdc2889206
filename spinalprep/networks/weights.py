"""Weights: safetensors with a JSON card beside; nothing is unpickled."""

import json
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spinalprep.errors import ModelError
from spinalprep.networks.presets import PRESETS


@dataclass(frozen=True)
class Model:
    """A network ready for use, and what is known of it.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode, float32, on the CPU.
    card : dict
        The model card.
    """

    network: nn.Module
    card: dict[str, Any]


def packaged_weights(name: str) -> Path:
    """Return the path of weights that ship with the package (``"centerline"``, ``"cord"``)."""
    return Path(str(files("spinalprep") / "data" / "weights" / f"{name}.safetensors"))


def card_path(weights: Path) -> Path:
    """Return where the card of a weight file is."""
    return Path(weights).with_suffix(".json")


def read_card(weights: Path) -> dict[str, Any]:
    """Read the card beside a weight file and check the file against it.

    Raises
    ------
    ModelError
        If weights or card are missing, unreadable or don't belong together.
    """
    for path in (weights, card_path(weights)):
        if not path.is_file():
            raise ModelError(f"{path} is missing; expected a .safetensors file and its .json card")
    try:
        card: dict[str, Any] = json.loads(card_path(weights).read_text())
        expected, preset = card["sha256"], card["preset"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{card_path(weights)} is not a model card ({error!r})") from error
    found = sha256(weights.read_bytes()).hexdigest()
    if found != expected:
        raise ModelError(
            f"{weights} has sha256 {found[:12]}, its card says {str(expected)[:12]}: the file is "
            "damaged or of another version; install it again"
        )
    if preset not in PRESETS:
        known = ", ".join(sorted(PRESETS))
        raise ModelError(
            f"{card_path(weights)} asks for preset {preset!r}; expected one of {known}"
        )
    return card


def load_model(weights: Path | str) -> Model:
    """Load weights from a file, or by the name under which they ship.

    Raises
    ------
    ModelError
        See `read_card`; also if the tensors don't fit the network.
    """
    path = (
        Path(weights) if str(weights).endswith(".safetensors") else packaged_weights(str(weights))
    )
    card = read_card(path)
    network = PRESETS[card["preset"]]()
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        network.load_state_dict(state)
    except Exception as error:  # safetensors and torch raise several kinds
        raise ModelError(f"{path} does not fit preset {card['preset']} ({error})") from error
    return Model(network.eval(), card)


def save_model(network: nn.Module, path: Path, card: dict[str, Any]) -> Path:
    """Write a network as float16 safetensors with its card, which gets preset-checked sha256."""
    state = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    whole = {**card, "sha256": sha256(path.read_bytes()).hexdigest()}
    card_path(path).write_text(json.dumps(whole, indent=2) + "\n")
    return path
