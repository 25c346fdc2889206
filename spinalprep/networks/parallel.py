"""Networks at work: many small pieces on several threads, or one after the other on a GPU."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from filelock import FileLock
from torch import Tensor, nn

from spinalprep.device import LOCK, VARIABLE
from spinalprep.errors import UsageError

Finish = Callable[[Tensor], Tensor]
GPU = "cuda"


def run_parts(network: nn.Module, parts: Sequence[Tensor], finish: Finish) -> list[Tensor]:
    """Run a network over every part, on the device of this process (`spinalprep.device`).

    Parameters
    ----------
    network : nn.Module
        On the CPU, before and after.
    parts : sequence of Tensor
        On the CPU, in the order of the result.
    finish : callable
        What becomes of the logits, `torch.sigmoid` say.

    Returns
    -------
    found : list of Tensor
        On the CPU; no gradient is kept.

    Raises
    ------
    UsageError
        If a GPU is wanted that is not there.
    """
    if _on_gpu(network):
        return _run_on_gpu(network, parts, finish)
    return map_parts(lambda part: finish(network(part)), parts)


def run_whole(network: nn.Module, image: Tensor) -> Tensor:
    """Return the logits of one image or batch, as `run_parts`; on the CPU with all threads."""
    if _on_gpu(network):
        return _run_on_gpu(network, [image], lambda logits: logits)[0]
    with torch.no_grad():
        logits: Tensor = network(image)
    return logits


def map_parts(function: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """Apply a function to every part, each on one thread, as many at a time as torch may use.

    Parameters
    ----------
    function : callable
        Tensor to tensor; no gradient is kept.
    parts : sequence of Tensor
        In the order of the result.

    Notes
    -----
    A convolution of a few small windows is too short a job to be shared: on a busy machine the
    threads wait for each other longer than they work (measured: 19 s in place of 3 s). Whole parts
    on threads of their own also make the numbers independent of how many threads there are.
    """
    threads = torch.get_num_threads()

    def work(part: Tensor) -> Tensor:
        with torch.no_grad():  # a thread has its own mode
            return function(part)

    try:
        with ThreadPoolExecutor(
            max(min(threads, len(parts)), 1), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(threads)


def _on_gpu(network: nn.Module) -> bool:
    """Tell whether a network runs on the GPU; one of ONNX, without parameters, never does."""
    return os.environ.get(VARIABLE) == "cuda" and any(True for _ in network.parameters())


def _run_on_gpu(network: nn.Module, parts: Sequence[Tensor], finish: Finish) -> list[Tensor]:
    """Run parts one after the other, in half precision, and leave the GPU empty."""
    if not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU in the process of a task")
    cudnn = torch.backends.cudnn
    with (
        _turn(),
        torch.no_grad(),
        cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        try:
            moved = network.to(GPU)
            return [finish(_logits(moved, part.to(GPU))).cpu() for part in parts]
        except torch.OutOfMemoryError as error:  # no defect: the run says "memory:"
            raise MemoryError("of the GPU; free it, or use --device cpu") from error
        finally:
            network.to("cpu")
            torch.cuda.empty_cache()


def _logits(network: nn.Module, part: Tensor) -> Tensor:
    """Return logits in float32 of convolutions in float16; all in float32 where those overflow.

    float16 and not bfloat16: with 11 bits for 8, probabilities move a tenth as far.
    """
    with torch.autocast(GPU, dtype=torch.float16):
        logits: Tensor = network(part).float()
    return logits if torch.isfinite(logits).all() else network(part)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other task of the work folder is on the GPU."""
    path = os.environ.get(LOCK)
    if not path:
        yield
        return
    with FileLock(path):
        yield
