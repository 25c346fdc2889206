"""Wall time and peak memory of the networks, from an image to cord, gray matter and lesions.

``python benchmarks/inference.py [--threads 2 4] [--weights NETWORKS] [--profile]`` runs the whole
cascade on synthetic subjects: a T2starw stack of 256 x 256 x 20, 0.9 x 0.9 x 3 mm and a T2w volume
of 60 x 200 x 200 at 1 mm, in a process of its own for each. As in the App, the network of gray
matter sees the T2starw alone. ``.onnx`` files run in ONNX Runtime.
"""

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

from spinalprep.networks.cards import find_weights, read_card

GRIDS = {
    "256 x 256 x 20": ((256, 256, 20), (0.9, 0.9, 3.0), "T2starw"),
    "60 x 200 x 200": ((60, 200, 200), (1.0, 1.0, 1.0), "T2w"),
}
SEED = 100_001
PARTS = (
    "find_heat",
    "trace_centerline",
    "segment",
    "lesions",
    "_probabilities",
    "binarise",
    "cord_extent",
)


def measure(path: Path, threads: int, weights: list[str], profile: bool) -> None:
    """Print one JSON line: seconds of the cascade, CPU seconds, and memory in MiB."""
    import torch

    from spinalprep.image import load
    from spinalprep.networks.cascade import Networks, by_task, find_cord
    from spinalprep.networks.weights import load_model

    torch.set_num_threads(threads)
    image = load(path)
    began = time.monotonic()
    models = [load_model(word) for word in weights]
    loaded = time.monotonic() - began
    before = resource.getrusage(resource.RUSAGE_SELF)
    watch = cProfile.Profile()
    began, cpu = time.monotonic(), time.process_time()
    networks = Networks(**by_task(models))
    found = watch.runcall(find_cord, image, networks) if profile else find_cord(image, networks)
    row = {
        "load_s": loaded,
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before_mib": before.ru_maxrss / 1024,
        "cord_mm3": float(found.cord.data.sum() * image.voxel_volume),
    }
    if profile:
        calls = pstats.Stats(watch).stats.items()  # type: ignore[attr-defined]
        row |= {key[2]: value[3] for key, value in calls if key[2] in PARTS}
    sys.stdout.write(json.dumps(row) + "\n")


def read_task(word: str) -> str:
    """Return which of the App's networks a weight file is."""
    return str(read_card(find_weights(word))["task"])


def draw(name: str, path: Path) -> None:
    """Write the image of a synthetic subject on a grid."""
    from spinalprep.image import save
    from spinalprep.phantom.anatomy import make_person
    from spinalprep.phantom.images import las_grid, render

    shape, sizes, contrast = GRIDS[name]
    grid = las_grid(shape, sizes, (0.0, 0.0, 0.0))
    save(render(make_person(SEED), contrast, grid, SEED, noise=0.02), path)


def main() -> None:
    """Measure every grid with every number of threads, one process each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--weights", nargs="+", default=["centerline", "cord", "gm", "lesion"])
    parser.add_argument("--grid", nargs="+", choices=GRIDS, default=list(GRIDS))
    parser.add_argument("--profile", action="store_true", help="seconds of the parts, too")
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.image:
        measure(given.image, given.threads[0], given.weights, given.profile)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in given.grid:
            path = Path(folder) / "image.nii.gz"
            painter = get_context("spawn").Process(target=draw, args=(name, path))
            painter.start()  # apart: a child's peak memory begins with its parent's
            painter.join()
            given.used = list(given.weights)
            if GRIDS[name][2] != "T2starw":  # where the App does without gray matter
                given.used = [word for word in given.weights if read_task(word) != "gm"]
            for threads in given.threads:
                sys.stdout.write(f"{name}, {threads} threads: {run(path, threads, given)}\n")
                sys.stdout.flush()


def run(path: Path, threads: int, given: argparse.Namespace) -> str:
    """Measure in a process of its own and return the row in words."""
    words = [sys.executable, __file__, "--image", str(path), "--threads", str(threads)]
    words += ["--weights", *given.used, *(["--profile"] if given.profile else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    return ", ".join(f"{key} {value:.2f}" for key, value in row.items())


if __name__ == "__main__":
    main()
