"""One task inside a job of SLURM: ``python -m spinalprep.engine.slurm_task FOLDER``.

The folder holds the packed task; the report is left there. As in `child`, nothing heavy is imported
before the limits on threads, which the job's script sets, are in the environment.
"""

import os
import pickle
import sys
from pathlib import Path

from spinalprep.engine import child

PAYLOAD = "payload.pkl"
REPORT = "report.pkl"


def main(folder: Path) -> None:
    """Run the task of a folder and leave its report, whole or not at all."""
    report = child.run((folder / PAYLOAD).read_bytes())
    partial = folder / f"{REPORT}.part"
    partial.write_bytes(pickle.dumps(report))
    os.replace(partial, folder / REPORT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
