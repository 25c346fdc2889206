"""Where templates are looked for on a machine."""

from collections.abc import Mapping
from pathlib import Path

CACHE_VARIABLE = "SPINALPREP_CACHE"


def pam50_places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders where PAM50 is looked for, first choice first."""
    places = []
    if environ.get("TEMPLATEFLOW_HOME"):
        places.append(Path(environ["TEMPLATEFLOW_HOME"]) / "tpl-PAM50")
    if environ.get("SCT_DIR"):
        places.append(Path(environ["SCT_DIR"]) / "data" / "PAM50")
    places.append(cache_folder(environ) / "PAM50")
    return tuple(places)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where ``spinalprep-tools template fetch`` puts templates.

    ``SPINALPREP_CACHE``, else ``XDG_CACHE_HOME/spinalprep``, else ``~/.cache/spinalprep``.
    """
    if environ.get(CACHE_VARIABLE):
        return Path(environ[CACHE_VARIABLE])
    home = environ.get("HOME") or str(Path("/"))
    base = environ.get("XDG_CACHE_HOME") or str(Path(home) / ".cache")
    return Path(base) / "spinalprep"
