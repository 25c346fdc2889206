"""Where things are in the work folder."""

from pathlib import Path

from spinalprep.settings import Settings


def cache_folder(settings: Settings, participant: str) -> Path:
    """Return the cache of a participant; it can be deleted alone."""
    return settings.work_dir / "cache-1" / f"sub-{participant}"


def last_run_path(settings: Settings, command: str) -> Path:
    """Return where it is noted how a run ended, by the digest of what was asked for."""
    return settings.work_dir / "cache-1" / "runs" / f"{command}.json"
