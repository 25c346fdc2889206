"""Get PAM50 from its release, when a user asks for it; never called by a run."""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from zipfile import BadZipFile

from spinalprep.errors import TemplateError, UsageError
from spinalprep.template.checksums import file_sha256, known_release, record_checksums
from spinalprep.template.files import Template, read_template

PINNED = "r20250730"
ADDRESS = (
    "https://github.com/spinalcordtoolbox/PAM50/releases/download/{release}/PAM50-{release}.zip"
)
ARCHIVE = "release.zip"

_log = logging.getLogger("spinalprep")


def fetch(
    dest: Path, release: str = PINNED, address: str = ADDRESS, sha256: str | None = None
) -> Template:
    """Download a release of PAM50 into ``dest``, unless it is there already, and check it.

    Parameters
    ----------
    dest : Path
        Folder of the template; `spinalprep.template.places.cache_folder` / ``PAM50`` is where
        runs look for it. It is created whole or not at all.
    release : str
        Name of a release.
    address : str
        Where from; ``{release}`` is replaced.
    sha256 : str or None
        Of the archive, as its publisher tells it; None trusts this download.

    Returns
    -------
    template : Template
        The sha256 of the archive and of every file are kept in ``checksums.json``; the files are
        verified at each later use.

    Raises
    ------
    TemplateError
        If the download fails or is another archive than ``sha256`` says, holds no template,
        or ``dest`` holds something else or files that have changed.
    UsageError
        If ``dest`` can't be written.
    """
    dest = Path(dest).absolute()
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        return _already_there(dest, release)
    source = address.format(release=release)
    staging = _staging_folder(dest)
    try:
        unpacked = _download(source, staging, sha256)
        read_template(unpacked)  # before anything is kept
        archive = file_sha256(staging / ARCHIVE)
        _log.info("sha256 of the archive: %s", archive)
        record_checksums(unpacked, release, source, archive)
        os.replace(unpacked, dest)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return read_template(dest)


def _already_there(dest: Path, release: str) -> Template:
    """Return the template in ``dest`` if it is the release asked for."""
    held = known_release(dest) if dest.is_dir() else None
    if held != release:
        raise TemplateError(
            f"{dest} holds {held or 'files that were not fetched'}; expected {release} or nothing: "
            "delete it or give another folder"
        )
    return read_template(dest)


def _staging_folder(dest: Path) -> Path:
    """Make a folder beside ``dest``, on the same file system."""
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{dest.name}-", dir=dest.parent))
    except OSError as error:
        raise UsageError(f"{dest.parent} can't be written ({error.strerror})") from error


def _download(source: str, folder: Path, sha256: str | None) -> Path:
    """Download and unpack an archive; return the folder in it that holds ``template/``."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    _log.info("downloading %s", source)
    unzip = pooch.Unzip(extract_dir="files")  # nothing lands outside, links become plain files
    try:
        pooch.retrieve(source, known_hash=sha256, fname=ARCHIVE, path=folder, processor=unzip)
    except (BadZipFile, EOFError) as error:
        raise TemplateError(
            f"the download is not a complete zip archive ({error}); try again"
        ) from error
    except (OSError, ValueError, requests.RequestException) as error:
        reason = " ".join(str(error).split())
        raise TemplateError(
            f"{source} can't be downloaded ({reason}); download it elsewhere, unpack it and "
            "pass the folder with --template"
        ) from error
    files = folder / "files"
    for root in (files, *sorted(path for path in files.iterdir() if path.is_dir())):
        if (root / "template").is_dir():
            return root
    raise TemplateError("the archive has no folder template/; expected a release of PAM50")
