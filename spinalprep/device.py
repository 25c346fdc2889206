"""Where networks run: on the CPU, or on a GPU that torch sees. Decided here, for everything.

The standard library alone: the main process of a run loads no torch, so that another is asked.
"""

import functools
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spinalprep.errors import UsageError

VARIABLE = "SPINALPREP_DEVICE"  # cpu or cuda, for networks of this process and its children
LOCK = "SPINALPREP_GPU_LOCK"  # file that is locked while a network is on the GPU
DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
ASK_S = 120.0
ASK = """
import torch
if torch.cuda.is_available():
    torch.ones(1, device="cuda").add(1).cpu()
    print(torch.cuda.get_device_name(0))
"""

Wanted = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """Where networks run.

    Attributes
    ----------
    kind : {"cpu", "cuda"}
        As torch calls it.
    name : str
        Of the GPU.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    name: str = ""

    def __str__(self) -> str:
        """Return what sidecars say: ``cpu``, or ``cuda`` and the name of the GPU."""
        return f"{self.kind} ({self.name})" if self.name else self.kind

    def environment(self, work_dir: Path | None = None) -> dict[str, str]:
        """Return the variables that bring networks to this device.

        Parameters
        ----------
        work_dir : Path, optional
            Tasks that share it take turns on a GPU of this machine.
        """
        told: dict[str, str] = {VARIABLE: self.kind}
        if self.kind == "cuda" and work_dir is not None:
            seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(os.sep, "-") or "all"
            told[LOCK] = str(work_dir / f"gpu-{socket.gethostname()}-{seen}.lock")
        return told


CPU = Device()


def find_device(wanted: str) -> Device:
    """Return where networks will run.

    Parameters
    ----------
    wanted : {"auto", "cpu", "cuda"}
        ``auto``: a GPU that torch sees, otherwise the CPU.

    Raises
    ------
    UsageError
        If a GPU is wanted, and torch sees none.
    """
    name = gpu_name() if wanted != "cpu" else ""
    if name:
        return Device("cuda", name)
    if wanted == "cuda":
        raise UsageError(
            "--device cuda: torch sees no GPU here; check nvidia-smi, that torch was installed "
            "with CUDA, and in a container --nv (Apptainer) or --gpus all (Docker)"
        )
    return CPU


@functools.cache
def gpu_name() -> str:
    """Return the name of the GPU that torch can compute on; empty where there is none."""
    if not any(os.path.exists(path) for path in DRIVERS):
        return ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=ASK_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
