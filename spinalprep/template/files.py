"""Where a template lies on disk, and whether its files are whole and agree."""

import gzip
import hashlib
import logging
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from spinalprep.errors import InputError, TemplateError
from spinalprep.image.sanity import check_header
from spinalprep.image.volume import world_affine
from spinalprep.template.checksums import known_release, verify_checksums
from spinalprep.template.layout import (
    REQUIRED,
    TEMPLATE_NAME,
    atlas_files,
    find_files,
    is_template_folder,
)
from spinalprep.template.places import pam50_places

EMBEDDED = Path(__file__).parents[1] / "data" / "template-Generic"
GRID_TOLERANCE_MM = 1e-3
_CHUNK = 1 << 20

_log = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Template:
    """The files of a template; all lie on one grid.

    Attributes
    ----------
    name : str
        What ``space-`` says: ``PAM50``, or ``Generic`` for the embedded one.
    release : str or None
        Name of the release where the folder tells it, else None.
    identity : str
        Twelve hexadecimal digits of the uncompressed content of `cord`, `levels` and `discs`.
        Results of the same identity can be compared, whatever folder they came from.
    folder : Path
        The folder that was read.
    cord, levels, discs : Path
        Cord mask; vertebral levels (C1 = 1); one voxel per disc (disc n lies above vertebra n).
    gm, wm, csf, spinal_levels, centerline : Path or None
        None where the template has no such file.
    t1, t2, t2s : Path or None
        Contrast volumes.
    atlas : tuple of Path
        Probability of each region, in the atlas's order; empty where there is no atlas.
    sha256 : tuple of (str, str)
        Digest of the uncompressed content of ``cord``, ``levels`` and ``discs``.
    """

    name: str
    release: str | None
    identity: str
    folder: Path
    cord: Path
    levels: Path
    discs: Path
    gm: Path | None
    wm: Path | None
    csf: Path | None
    spinal_levels: Path | None
    centerline: Path | None
    t1: Path | None
    t2: Path | None
    t2s: Path | None
    atlas: tuple[Path, ...]
    sha256: tuple[tuple[str, str], ...]

    @property
    def version(self) -> str:
        """Release and identity in words, for logs and sidecars."""
        return f"{self.release or 'unnamed release'}, sha256 {self.identity}"


def resolve_template(
    name_or_path: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> Template:
    """Find a template on this machine and check its files; never uses the network.

    Parameters
    ----------
    name_or_path : str, Path or None
        A folder (release layout, or TemplateFlow's names); ``"PAM50"``: looked for in
        ``TEMPLATEFLOW_HOME``, ``SCT_DIR`` and the cache, in this order; ``"Generic"``: the
        template embedded in the package; None or ``"auto"``: PAM50 where there is one,
        else Generic.
    environ : mapping or None
        Environment variables; None reads the process's.

    Returns
    -------
    template : Template

    Raises
    ------
    TemplateError
        One line: the folder is missing or holds no template, or a file is missing,
        unreadable, a pointer without content, or on another grid.
    """
    env = os.environ if environ is None else environ
    wanted = "auto" if name_or_path is None else str(name_or_path)
    if wanted == "Generic":
        return read_template(EMBEDDED)
    if wanted not in ("auto", "PAM50"):
        return _read_given(Path(wanted))
    for place in pam50_places(env):
        if is_template_folder(place):
            return _read_place(place)
    if wanted == "PAM50":
        places = ", ".join(str(place) for place in pam50_places(env))
        raise TemplateError(
            f"PAM50 was not found (looked in {places}): pass its folder with --template, set "
            "TEMPLATEFLOW_HOME or SCT_DIR, or run: spinalprep-tools template fetch"
        )
    _log.warning("PAM50 was not found; the embedded generic template is used (space-Generic)")
    return read_template(EMBEDDED)


def read_template(folder: Path) -> Template:
    """Read the template in ``folder`` (release layout or TemplateFlow's names); check its files.

    A folder that was fetched, and so has a ``checksums.json``, is checked against it.

    Raises
    ------
    TemplateError
        As `resolve_template`.
    """
    folder = Path(folder).absolute()
    name, found = find_files(folder)
    missing = [word for word in REQUIRED if word not in found]
    if missing:
        raise TemplateError(
            f"{folder} has no {' and no '.join(missing)} file of {name}; expected a complete "
            "release"
        )
    atlas = atlas_files(folder)
    _check_files([*found.values(), *atlas])
    verify_checksums(folder)
    digests = tuple((word, content_sha256(found[word])) for word in REQUIRED)
    joined = "".join(digest for _, digest in digests)
    optional = {word: found.get(word) for word in TEMPLATE_NAME if word not in REQUIRED}
    return Template(
        name=name,
        release=known_release(folder),
        identity=hashlib.sha256(joined.encode()).hexdigest()[:12],
        folder=folder,
        cord=found["cord"],
        levels=found["levels"],
        discs=found["discs"],
        atlas=atlas,
        sha256=digests,
        **optional,
    )


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file's content, uncompressed when it is a ``.gz``.

    Raises
    ------
    TemplateError
        If the file is cut short or damaged (gzip's checksum).
    """
    digest = hashlib.sha256()
    opener: Any = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise TemplateError(
            f"{path} can't be read ({_one_line(error)}); expected a complete file: download it "
            "again"
        ) from error
    return digest.hexdigest()


def _read_given(folder: Path) -> Template:
    """Read a template from the folder that a user named."""
    if not folder.exists():
        raise TemplateError(
            f"template {folder} does not exist; expected PAM50, Generic or the folder of a release"
        )
    if not is_template_folder(folder):
        hint = f": give {folder.parent}" if is_template_folder(folder.parent) else ""
        raise TemplateError(
            f"{folder} contains no template (no cord mask such as template/PAM50_cord.nii.gz); "
            f"expected the folder of a release, with template/ and atlas/{hint}"
        )
    return read_template(folder)


def _read_place(place: Path) -> Template:
    """Read PAM50 where it was found, and refuse another template that lies there."""
    template = read_template(place)
    if template.name != "PAM50":
        raise TemplateError(f"{place} contains the template {template.name}; expected PAM50")
    return template


def _check_files(paths: list[Path]) -> None:
    """Refuse files that can't be opened or lie on another grid than the first."""
    first: tuple[Path, tuple[int, ...], Any] | None = None
    for path in paths:
        try:
            check_header(path)
        except InputError as error:
            raise TemplateError(f"template file {error}") from error
        volume: Any = nib.loadsave.load(path)
        shape, affine = tuple(volume.shape[:3]), world_affine(volume)
        first = first or (path, shape, affine)
        if shape != first[1] or not np.allclose(affine, first[2], rtol=0, atol=GRID_TOLERANCE_MM):
            raise TemplateError(
                f"template file {path} is on a different grid from {first[0].name}; expected "
                "the files of one release"
            )


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
