"""CPU seconds and memory of every node of a run, computed once more from what is in the cache.

python benchmarks/nodes.py WORK_DIR/cache-1/sub-LABEL [--only NAME...] [--keep FOLDER]

Each node gets the inputs that it had, on one thread, in a process of its own that has the large
libraries already; nothing in the cache changes. With ``--keep`` its outputs are written to
FOLDER/NAME, to be compared.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calibrated import kernel_seconds

ONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ.update(ONE | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "ANTS_RANDOM_SEED": "1"})
os.environ["NO_ET"] = "1"  # pydra asks nobody about its version


def jobs_in(cache: Path) -> Iterator[tuple[str, Any]]:
    """Yield name and task of each computed node, the longest first."""
    from pydra.engine.job import load_job

    from spinalprep.engine.record import read_record

    found = []
    for folder in cache.iterdir():
        record = read_record(folder)
        if record is not None and folder.name.startswith("python"):
            found.append((record.seconds, record.name, folder))
    for _, name, folder in sorted(found, reverse=True):
        yield name, load_job(folder / "_job.pklz").task


def load_libraries() -> None:
    """Import what tasks import, so that no node pays for it."""
    import ants  # noqa: F401
    import skimage.filters  # noqa: F401
    import torch

    from spinalprep.networks import predict  # noqa: F401
    from spinalprep.registration import template  # noqa: F401

    torch.set_num_threads(1)


def compute(name: str, task: Any, folder: Path) -> None:
    """Run one node in this process and print what it took."""
    os.chdir(folder)
    values = _inputs(task)
    began, at = time.process_time(), time.monotonic()
    task.function(**values)
    seconds, wall = time.process_time() - began, time.monotonic() - at
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{name}\t{seconds:.2f}\t{wall:.2f}\t{peak:.0f}\n")
    sys.stdout.flush()


def _inputs(task: Any) -> dict[str, Any]:
    from pydra.utils.general import attrs_values

    return {name: value for name, value in attrs_values(task).items() if name != "function"}


def main() -> None:
    """Print a row per node: CPU seconds, wall seconds, peak memory in MiB."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--calibrate", action="store_true", help="in units of the kernel, too")
    given = parser.parse_args()
    load_libraries()
    if given.calibrate:
        sys.stdout.write(f"kernel {kernel_seconds():.2f} s\n")
    sys.stdout.write("node\tcpu_s\twall_s\tpeak_mib\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as scratch:
        for name, task in jobs_in(given.cache.resolve()):
            if given.only and name not in given.only:
                continue
            folder = (given.keep.resolve() if given.keep else Path(scratch)) / name
            folder.mkdir(parents=True, exist_ok=True)
            child = os.fork()
            if not child:
                compute(name, task, folder)
                os._exit(0)
            os.waitpid(child, 0)
    if given.calibrate:
        sys.stdout.write(f"kernel {kernel_seconds():.2f} s\n")


if __name__ == "__main__":
    main()
