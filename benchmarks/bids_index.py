"""How long it takes to find the images of a dataset of 24,000 files.

Run ``python benchmarks/bids_index.py [--with-pybids-alone]``; the table goes to the terminal.
Each line is a process of its own, so imports are included.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTICIPANTS = 200
SESSIONS = ("1", "2")
IMAGES = ("acq-sag_T2w", "acq-ax_T2w", "T1w", "T2starw", "flip-1_mt-on_MTS", "flip-1_mt-off_MTS")
FUNC_RUNS = 11
DWI_RUNS = 4

SESSIONS_OF = """
import sys; from pathlib import Path
from spinalprep.bids.query import find_sessions
from spinalprep.settings import Settings
root, kept, *labels = sys.argv[1:]
settings = Settings(Path(root), Path(root), "participant", participant_label=tuple(labels),
                    bids_database_dir=Path(kept) if kept else None)
print(sum(len(session.scans) for session in find_sessions(settings)))
"""
PYBIDS = "import sys; from bids import BIDSLayout; print(len(BIDSLayout(sys.argv[1]).files))"


def make_dataset(root: Path) -> int:
    """Write a dataset of empty files and return how many there are."""
    (root / "dataset_description.json").write_text('{"Name": "many", "BIDSVersion": "1.10.0"}')
    for number in range(PARTICIPANTS):
        for session in SESSIONS:
            folder = root / f"sub-{number:03d}" / f"ses-{session}"
            for path in _names(folder, f"sub-{number:03d}_ses-{session}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}" if path.suffix == ".json" else "")
    return sum(path.is_file() for path in root.rglob("*"))


def _names(folder: Path, prefix: str) -> list[Path]:
    images = [folder / "anat" / f"{prefix}_{name}" for name in IMAGES]
    images += [
        folder / "func" / f"{prefix}_task-rest_run-{run}_bold" for run in range(1, FUNC_RUNS + 1)
    ]
    diffusion = [folder / "dwi" / f"{prefix}_run-{run}_dwi" for run in range(1, DWI_RUNS + 1)]
    paths = [image.with_name(image.name + end) for image in images for end in (".nii.gz", ".json")]
    ends = (".nii.gz", ".json", ".bval", ".bvec")
    paths += [image.with_name(image.name + end) for image in diffusion for end in ends]
    paths += [
        folder / "func" / f"{prefix}_task-rest_run-{run}_events.tsv"
        for run in range(1, FUNC_RUNS + 1)
    ]
    return paths


def measure(label: str, program: str, *words: str) -> None:
    """Run a program and print how long it took and what it found."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{label:44s} {seconds:6.2f} s   {done.stdout.strip():>6s} found\n")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-pybids-alone", action="store_true")
    with_pybids = parser.parse_args().with_pybids_alone
    with tempfile.TemporaryDirectory() as folder:
        root, kept = Path(folder) / "raw", str(Path(folder) / "index")
        root.mkdir()
        sys.stdout.write(f"{make_dataset(root)} files, {PARTICIPANTS} participants\n")
        measure("one participant", SESSIONS_OF, str(root), "", "100")
        measure("all anat", SESSIONS_OF, str(root), "")
        measure("all anat, index made and kept", SESSIONS_OF, str(root), kept)
        measure("one participant, kept index", SESSIONS_OF, str(root), kept, "100")
        measure("all anat, kept index", SESSIONS_OF, str(root), kept)
        if with_pybids:
            measure("pybids alone, everything", PYBIDS, str(root))


if __name__ == "__main__":
    main()
