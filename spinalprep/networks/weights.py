"""Weights: safetensors with a JSON card beside; nothing is unpickled."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spinalprep.errors import ModelError
from spinalprep.networks.cards import card_path, find_weights, read_card
from spinalprep.networks.onnx import OnnxNetwork
from spinalprep.networks.presets import PRESETS

LONGEST = 200  # characters of what torch says


@dataclass(frozen=True)
class Model:
    """A network ready for use, and what is known of it.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode, float32, on the CPU; images to logits.
    card : dict
        The model card.
    """

    network: nn.Module
    card: dict[str, Any]


def load_model(weights: Path | str) -> Model:
    """Load weights from a file, or by the name under which they ship.

    A ``.safetensors`` file runs in torch, an ``.onnx`` file in ONNX Runtime.

    Raises
    ------
    ModelError
        See `read_card`; also if the tensors don't fit the network.
    """
    path = find_weights(weights)
    card = read_card(path)
    if path.suffix == ".onnx":
        return Model(OnnxNetwork(path.read_bytes()).eval(), card)
    if str(card.get("preset")) not in PRESETS:
        raise ModelError(
            f"{card_path(path)} asks for preset {card.get('preset')!r}; "
            f"expected one of {', '.join(sorted(PRESETS))}"
        )
    network = PRESETS[card["preset"]]()
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        network.load_state_dict(state)
    except Exception as error:  # safetensors and torch raise several kinds
        why = shorten(str(error), LONGEST)  # torch lists every tensor
        raise ModelError(f"{path} does not fit preset {card['preset']} ({why})") from error
    if all(values.dim() <= 4 for values in network.parameters()):  # faster on a CPU
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network.eval(), card)


def save_model(network: nn.Module, path: Path, card: dict[str, Any]) -> Path:
    """Write a network as float16 safetensors with its card, which gets the sha256."""
    state = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    path.chmod(0o644)
    whole = {**card, "sha256": sha256(path.read_bytes()).hexdigest()}
    card_path(path).write_text(json.dumps(whole, indent=2) + "\n")
    return path
