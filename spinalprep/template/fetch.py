"""Get PAM50 from its release, when a user asks for it; never called by a run."""

import logging
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from spinalprep.errors import TemplateError, UsageError
from spinalprep.template.checksums import known_release, record_checksums
from spinalprep.template.files import Template, read_template

PINNED = "r20250730"
ADDRESS = (
    "https://github.com/spinalcordtoolbox/PAM50/releases/download/{release}/PAM50-{release}.zip"
)
LARGEST_BYTES = 4 << 30  # unpacked; PAM50 is far smaller
_NOT_WANTED = ("__MACOSX", ".git", ".github")

_log = logging.getLogger("spinalprep")


def fetch(dest: Path, release: str = PINNED, address: str = ADDRESS) -> Template:
    """Download a release of PAM50 into ``dest``, unless it is there already, and check it.

    Parameters
    ----------
    dest : Path
        Folder of the template; `spinalprep.template.files.cache_folder` / ``PAM50`` is where
        runs look for it. It is created whole or not at all.
    release : str
        Name of a release.
    address : str
        Where from; ``{release}`` is replaced.

    Returns
    -------
    template : Template
        The sha256 of every file is kept in ``checksums.json`` and verified at each later use.

    Raises
    ------
    TemplateError
        If the download fails, the archive holds no template or would write outside its folder,
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
        archive = _download(source, staging)
        _log.info("unpacking %s", archive.name)
        unpacked = _unpack(archive, staging / "files")
        read_template(unpacked)  # before anything is kept
        record_checksums(unpacked, release, source)
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


def _download(source: str, folder: Path) -> Path:
    """Download an archive whose hash is not known yet."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    _log.info("downloading %s", source)
    try:
        return Path(pooch.retrieve(source, known_hash=None, fname="release.zip", path=folder))
    except (OSError, ValueError, requests.RequestException) as error:
        reason = " ".join(str(error).split())
        raise TemplateError(
            f"{source} can't be downloaded ({reason}); download it elsewhere, unpack it and give "
            "the folder with --template"
        ) from error


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack a release and return the folder that holds ``template/``."""
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if _is_wanted(member)]
            for member in members:
                _check_member(member, archive)
            size = sum(member.file_size for member in members)
            if size > LARGEST_BYTES:
                raise TemplateError(
                    f"{archive.name} unpacks to {size >> 30} GiB; expected a release"
                )
            content.extractall(folder, members)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise TemplateError(f"the download is no whole zip archive ({error}); try again") from error
    roots = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    for root in roots:
        if (root / "template").is_dir():
            return root
    raise TemplateError("the archive holds no folder template/; expected a release of PAM50")


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return not member.is_dir() and not set(parts) & set(_NOT_WANTED)


def _check_member(member: zipfile.ZipInfo, archive: Path) -> None:
    """Refuse a member that is a link or would land outside the folder."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in path.parts[0] if path.parts else True
    linked = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or drive or linked:
        raise TemplateError(
            f"{archive.name} holds {member.filename!r}, which would be written outside its "
            "folder; nothing was unpacked"
        )
