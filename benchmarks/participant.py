"""Print wall time and peak memory per task and in all for one participant.

python benchmarks/participant.py BIDS_DIR LABEL [--template PATH] [--nprocs N]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def run(words: list[str]) -> float:
    """Run the command and return the seconds that it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "spinalprep", *words], check=True)
    return time.monotonic() - began


def main() -> None:
    """Run once from an empty cache and once again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bids_dir")
    parser.add_argument("label")
    parser.add_argument("--template", default="Generic")
    parser.add_argument("--nprocs", default="4")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = [given.bids_dir, f"{folder}/out", "participant", "-w", f"{folder}/work"]
        words += ["--participant-label", given.label, "--nprocs", given.nprocs]
        words += ["--template", given.template]
        first, again = run(words), run(words)
        path = next(Path(folder).glob("out/sub-*/log/*/resources.tsv"))
        table = pd.read_csv(path, sep="\t").sort_values("wall_s", ascending=False)
    sys.stdout.write(table.to_string(index=False))
    sys.stdout.write(
        f"\nin all {first:.1f} s, sum of tasks {table['wall_s'].sum():.1f} s, "
        f"largest task {table['peak_mib'].max():.0f} MiB; again, from the cache {again:.1f} s\n"
    )


if __name__ == "__main__":
    main()
