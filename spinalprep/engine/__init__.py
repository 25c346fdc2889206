"""What pydra lacks: hashing, process pool, heal, progress, dry run."""
