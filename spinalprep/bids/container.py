"""What is known of the container that this program runs in."""

import os
from pathlib import Path
from typing import Any

from spinalprep import __version__

CONTAINER_VARIABLE = "SPINALPREP_CONTAINER"  # docker or apptainer, set by the image's recipe


def generated_by() -> list[dict[str, Any]]:
    """Return ``GeneratedBy``: program, version, and the container where there is one."""
    made: dict[str, Any] = {"Name": "spinalprep", "Version": __version__}
    container = os.environ.get(CONTAINER_VARIABLE)
    if container:
        tag = __version__.replace("+", "-")  # a tag of an image may have no plus sign
        made["Container"] = {"Type": container, "Tag": f"spinalprep:{tag}"}
    return [made]


def mount_hint(path: Path) -> str:
    """Say how a folder or file gets into the container; empty outside of one."""
    container = os.environ.get(CONTAINER_VARIABLE)
    if not container:
        return ""
    how = "--bind" if container == "apptainer" else "-v"
    return f"probably it is not mounted ({container} run {how} {path}:{path})"
