"""ONNX: another file format of the same network, run by ONNX Runtime on the CPU.

The packages onnx and onnxruntime are optional (the extra ``onnx``). A network runs here only where
an ``.onnx`` file is named; nothing switches by itself.
"""

import io
import json
import warnings
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spinalprep.errors import ModelError
from spinalprep.networks.cards import card_path

OPSET = 18
INPUT, OUTPUT = "image", "logits"


class OnnxNetwork(nn.Module):
    """A network in ONNX Runtime, called like any other: images to logits.

    Parameters
    ----------
    content : bytes
        The ONNX file.

    Raises
    ------
    ModelError
        If ONNX Runtime is not installed, or can't read the file.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        try:
            import onnxruntime as runtime
        except ImportError as error:
            raise _missing("onnxruntime") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # whole parts share the threads, see `parallel.map_parts`
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises several kinds
            raise ModelError(f"ONNX Runtime can't read the network ({error})") from error

    def forward(self, image: Tensor) -> Tensor:
        """Return logits of images; shapes as the network that was exported has them."""
        given = {INPUT: image.detach().cpu().contiguous().numpy()}
        return torch.from_numpy(self.session.run([OUTPUT], given)[0])


def to_onnx(network: nn.Module, dimensions: int = 2, channels: int = 1) -> bytes:
    """Return a network as an ONNX file for any batch size and any size of the image.

    Parameters
    ----------
    network : nn.Module
        Images (N, channels, ...) to logits (N, C, ...).
    dimensions : int
        Of the image: 2 or 3.
    channels : int
        Of the image.

    Raises
    ------
    ModelError
        If the package onnx is not installed, or the network is in ONNX already.
    """
    if isinstance(network, OnnxNetwork):
        raise ModelError("this network is in ONNX already; export its .safetensors file")
    if find_spec("onnx") is None:
        raise _missing("onnx")
    free = dict(enumerate(("n", "c", "i", "j", "k")[: dimensions + 2]))
    del free[1]
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the exporter without onnxscript announces its end
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.rand(2, channels, *(48, 64, 32)[:dimensions]),),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free, OUTPUT: free},
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def save_onnx(network: nn.Module, path: Path, card: dict[str, Any]) -> Path:
    """Write a network as ONNX with its card, which gets the new sha256 and keeps the old one.

    Parameters
    ----------
    network : nn.Module
        With its weights.
    path : Path
        Ends in ``.onnx``; the card goes beside it.
    card : dict
        Of the weights.
    """
    if path.suffix != ".onnx":
        raise ModelError(f"{path} does not end in .onnx")
    dimensions = 3 if {"depth", "patch"} & set(card) else 2
    content = to_onnx(network, dimensions, int(card.get("channels", 1)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    whole = {
        **card,
        "format": f"ONNX, opset {OPSET}, float32, logits",
        "exported_from_sha256": card["sha256"],
        "sha256": sha256(content).hexdigest(),
    }
    card_path(path).write_text(json.dumps(whole, indent=2) + "\n")
    return path


def _missing(package: str) -> ModelError:
    return ModelError(
        f"{package} is not installed; pip install onnx onnxruntime, or use the .safetensors file"
    )
