"""How the files of a template are named: in a release, and in TemplateFlow's archive."""

import os
import re
from pathlib import Path
from typing import Any

from spinalprep.errors import TemplateError

REQUIRED = ("cord", "levels", "discs")
ATLAS_SUFFIX = re.compile(r"_atlas_(\d+)\.nii\.gz$")
ATLAS_LABEL = re.compile(r"_label-(\d+)_")

TEMPLATE_NAME = {  # release: template/<name>_<this>.nii.gz
    "cord": "cord",
    "levels": "levels",
    "discs": "label_disc",  # not label_discPosterior: PAM50's is shifted by 0.5 mm
    "gm": "gm",
    "wm": "wm",
    "csf": "csf",
    "spinal_levels": "spinal_levels",
    "centerline": "centerline",
    "t1": "t1",
    "t2": "t2",
    "t2s": "t2s",
}
TEMPLATEFLOW_NAME: dict[str, dict[str, str | None]] = {  # tpl-<name>_<these>.nii.gz
    "cord": {"label": "SC", "suffix": "mask"},
    "levels": {"segmentation": "vertebrae", "suffix": "dseg"},
    "discs": {"segmentation": "discs", "suffix": "dseg"},
    "gm": {"label": "GM", "suffix": "probseg"},
    "wm": {"label": "WM", "suffix": "probseg"},
    "csf": {"label": "CSF", "suffix": "mask"},
    "spinal_levels": {"segmentation": "spinallevels", "suffix": "dseg"},
    "centerline": {"label": "centerline", "suffix": "mask"},
    "t1": {"label": None, "suffix": "T1w"},
    "t2": {"label": None, "suffix": "T2w"},
    "t2s": {"label": None, "suffix": "T2starw"},
}
TEMPLATEFLOW_ATLAS = {"segmentation": "tracts", "suffix": "probseg"}


def is_template_folder(folder: Path) -> bool:
    """Tell whether ``folder`` looks like a template: a release, or a TemplateFlow folder."""
    if not folder.is_dir():
        return False
    return bool(_release_cords(folder)) or _is_templateflow(folder)


def find_files(folder: Path) -> tuple[str, dict[str, Path]]:
    """Return the template's name and the files that are there, by the words of `TEMPLATE_NAME`.

    Raises
    ------
    TemplateError
        If the folder holds no cord mask, or the cord masks of several templates.
    """
    cords = _release_cords(folder)
    if len(cords) > 1:
        names = ", ".join(path.name for path in cords)
        raise TemplateError(f"{folder} contains several templates ({names}); expected one")
    if cords:
        name = cords[0].name.removesuffix("_cord.nii.gz")
        paths = {
            word: folder / "template" / f"{name}_{ending}.nii.gz"
            for word, ending in TEMPLATE_NAME.items()
        }
        return name, {word: path for word, path in paths.items() if _is_there(path)}
    if _is_templateflow(folder):
        return folder.name.removeprefix("tpl-"), _templateflow_files(folder)
    raise TemplateError(
        f"{folder} contains no template (no cord mask such as template/PAM50_cord.nii.gz)"
    )


def atlas_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the atlas's regions, in the atlas's order, from 0 without a gap.

    Raises
    ------
    TemplateError
        If a number is missing or there twice.
    """
    release, pattern = sorted(folder.glob("atlas/*_atlas_*.nii.gz")), ATLAS_SUFFIX
    if not release and _is_templateflow(folder):
        release, pattern = _query(_client(folder), TEMPLATEFLOW_ATLAS), ATLAS_LABEL
    numbered = sorted(
        (int(match.group(1)), path) for path in release if (match := pattern.search(path.name))
    )
    numbers = [number for number, _ in numbered]
    if numbers != list(range(len(numbers))):
        raise TemplateError(
            f"the atlas in {folder} has the regions {numbers}; expected each from 0 once: "
            "download the release again"
        )
    return tuple(path for _, path in numbered)


def _release_cords(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("template/*_cord.nii.gz") if _is_there(path))


def _is_there(path: Path) -> bool:
    """Tell whether there is a file, or a link whose content is not here yet."""
    return path.exists() or path.is_symlink()


def _is_templateflow(folder: Path) -> bool:
    return folder.name.startswith("tpl-") and any(folder.glob("tpl-*_mask.nii.gz"))


def _templateflow_files(folder: Path) -> dict[str, Path]:
    """Return the files of a TemplateFlow folder; the shortest name where several fit."""
    client = _client(folder)
    found = {word: _query(client, entities) for word, entities in TEMPLATEFLOW_NAME.items()}
    return {
        word: min(paths, key=lambda path: (len(path.name), path.name))
        for word, paths in found.items()
        if paths
    }


def _query(client: Any, entities: dict[str, Any]) -> list[Path]:
    """Ask the templateflow client which files it has; nothing is fetched."""
    listing = client.ls(None, extension=".nii.gz", **entities)
    return sorted(path for path in listing if path.name.startswith("tpl-"))


def _client(folder: Path) -> Any:
    """Return a templateflow client that indexes ``folder`` alone and neither updates nor writes.

    Importing templateflow fills an empty default home with a skeleton of its archive, so the
    default home is pointed at a folder that is not empty while it is imported.
    """
    before = os.environ.get("TEMPLATEFLOW_HOME")
    os.environ["TEMPLATEFLOW_HOME"] = str(folder)
    try:
        from templateflow.client import TemplateFlowClient

        return TemplateFlowClient(root=folder, autoupdate=False)
    finally:
        if before is None:
            del os.environ["TEMPLATEFLOW_HOME"]
        else:
            os.environ["TEMPLATEFLOW_HOME"] = before
