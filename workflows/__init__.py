"""Graphs: who feeds whom."""

import spinalprep.engine.hashing  # noqa: F401  (children must hash as the main process does)
