"""Start, plan and dry run of a multi-centre dataset: 267 participants, 24,000 files.

Run ``python benchmarks/scale.py [--people N]``. Names are those of spine-generic; images that the
App reads are small and valid, all other files are empty. Each line is a process of its own, so
imports are included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

PEOPLE = 267
SITES = ("amu", "balgrist", "barcelona", "beijingGE", "brnoUhb", "cardiff", "fslAchieva", "geneva")
READ = ("T1w", "T2w", "T2starw", "flip-1_mt-on_MTS", "flip-1_mt-off_MTS")
STUBS = 75  # other files of a participant, so that there are 90 in all


def make_dataset(root: Path, people: int) -> int:
    """Write the dataset and return the number of its files."""
    (root / "dataset_description.json").write_text('{"Name": "many", "BIDSVersion": "1.10.0"}')
    data = np.random.default_rng(0).integers(1, 200, (12, 12, 12)).astype(np.int16)
    blank = root / "blank.nii.gz"
    nib.nifti1.Nifti1Image(data, np.eye(4)).to_filename(blank)
    content = blank.read_bytes()
    blank.unlink()
    for number in range(people):
        site = SITES[number % len(SITES)]
        name = f"sub-{site}{number // len(SITES) + 1:02d}"
        anat, func = root / name / "anat", root / name / "func"
        labels = root / "derivatives" / "other" / name / "anat"
        for folder in (anat, func, labels):
            folder.mkdir(parents=True)
        for suffix in READ:
            (anat / f"{name}_{suffix}.nii.gz").write_bytes(content)
            (anat / f"{name}_{suffix}.json").write_text("{}")
            (labels / f"{name}_{suffix}_label-SC_mask.nii.gz").touch()
        for run in range(STUBS):
            (func / f"{name}_task-rest_run-{run + 1}_bold.json").write_text("{}")
    return sum(len(files) for _, _, files in os.walk(root))


def measure(label: str, *words: str) -> None:
    """Run a command and print its time and peak memory."""
    began = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        out = (process.stdout and process.stdout.read()) or ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    last = out.strip().splitlines()[-1][:60] if out.strip() else ""
    sys.stdout.write(
        f"{label}: {time.monotonic() - began:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s, "
        f"{used.ru_maxrss / 1024:.0f} MiB, exit code {process.returncode} ({last})\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=PEOPLE, help="default: %(default)s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "raw"
        root.mkdir()
        sys.stdout.write(f"{make_dataset(root, given.people)} files\n")
        command = [sys.executable, "-m", "spinalprep", str(root), f"{folder}/out", "participant"]
        command += ["-w", f"{folder}/work", "--template", "Generic"]
        tools = [sys.executable, "-c", "from spinalprep.tools.main import main; main()", "slurm"]
        measure("start (--help)", *command[:3], "--help")
        measure("script for SLURM", *tools, *command[3:])
        label = next(root.glob("sub-*")).name
        measure("dry run of one", *command, "--dry-run", "--participant-label", label)
        measure("dry run of all", *command, "--dry-run")
        measure("the same again", *command, "--dry-run")


if __name__ == "__main__":
    main()
