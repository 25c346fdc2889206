"""Where things are in the output folder that belong to no image."""

from pathlib import Path


def log_folder(out_dir: Path, participant: str) -> Path:
    """Return where a participant's logs and crash files go."""
    return out_dir / f"sub-{participant}" / "log"


def citation_paths(out_dir: Path) -> tuple[Path, Path]:
    """Return the paths of the methods text and of its references."""
    return out_dir / "logs" / "CITATION.md", out_dir / "logs" / "CITATION.bib"


def monitor_path(out_dir: Path, run_name: str) -> Path:
    """Return where ``--resource-monitor`` writes what a run took of the machine."""
    return out_dir / "logs" / f"{run_name}_resources.tsv"


def group_settings_path(out_dir: Path, run_name: str) -> Path:
    """Return where a run of the group level writes its settings."""
    return out_dir / "logs" / f"{run_name}_group_spinalprep.toml"


def report_path(out_dir: Path, participant: str) -> Path:
    """Return the path of a participant's report."""
    return out_dir / f"sub-{participant}.html"


def viewer_path(out_dir: Path, participant: str) -> Path:
    """Return the path of a participant's viewer."""
    return out_dir / f"sub-{participant}_viewer.html"


def group_report_path(out_dir: Path) -> Path:
    """Return the path of the report of the group level."""
    return out_dir / "group.html"


def group_viewer_path(out_dir: Path) -> Path:
    """Return the path of the viewer of the group's maps."""
    return out_dir / "group_viewer.html"
