"""What pydra lacks: hashing, process pool, cache repair, progress, dry run."""

import os

os.environ.setdefault("NO_ET", "1")  # pydra would ask the network for its newest version
