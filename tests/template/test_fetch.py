"""A release is fetched once, whole or not at all, and never trusted to stay as it was."""

import json
import stat
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import TemplateError, UsageError
from spinalprep.template.fetch import fetch
from spinalprep.template.files import resolve_template
from spinalprep.template.places import cache_folder

RELEASE = "r20990101"
STEMS = ("template/PAM50_cord", "template/PAM50_levels", "template/PAM50_label_disc")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        self.server.asked = getattr(self.server, "asked", 0) + 1  # type: ignore[attr-defined]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    (tmp_path / "www").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd
        httpd.shutdown()


@pytest.fixture
def archive(tmp_path: Path, server: ThreadingHTTPServer) -> Path:
    path = tmp_path / "www" / f"PAM50-{RELEASE}.zip"
    with zipfile.ZipFile(path, "w") as content:
        for stem in STEMS:
            volume = nib.nifti1.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
            volume.to_filename(tmp_path / "volume.nii.gz")
            content.write(tmp_path / "volume.nii.gz", f"PAM50-{RELEASE}/{stem}.nii.gz")
        content.writestr("__MACOSX/._junk", b"junk")
    return path


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/PAM50-{{release}}.zip"


def test_fetched_once_and_found_afterwards(
    tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    environ = {"SPINALPREP_CACHE": str(tmp_path / "cache")}
    dest = cache_folder(environ) / "PAM50"
    template = fetch(dest, RELEASE, address(server))
    assert (template.name, template.release) == ("PAM50", RELEASE)
    assert [path.name for path in dest.parent.iterdir()] == ["PAM50"]
    assert not list(dest.rglob("*junk"))
    asked = server.asked  # type: ignore[attr-defined]
    assert fetch(dest, RELEASE, address(server)).identity == template.identity
    assert server.asked == asked  # type: ignore[attr-defined]
    assert resolve_template("PAM50", environ) == template

    cord = dest / "template" / "PAM50_cord.nii.gz"
    nib.nifti1.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)).to_filename(cord)
    for again in (lambda: resolve_template("PAM50", environ), lambda: fetch(dest, RELEASE)):
        with pytest.raises(TemplateError, match="has changed since it was fetched"):
            again()


def test_the_archive_is_the_one_that_is_named(
    tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    digest = sha256(archive.read_bytes()).hexdigest()
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    with pytest.raises(TemplateError, match="hash") as caught:
        fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server), wrong)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
    fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server), digest)
    record = json.loads((tmp_path / "cache" / "PAM50" / "checksums.json").read_text())
    assert record["archive_sha256"] == digest
    assert set(record["sha256"]) == {f"{stem}.nii.gz" for stem in STEMS}


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
def test_nothing_is_written_outside_the_folder(
    name: str, tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr(name, b"evil")
    fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["PAM50"]
    assert not Path("/evil.txt").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_link_becomes_a_plain_file(
    tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    link = zipfile.ZipInfo(f"PAM50-{RELEASE}/template/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr(link, "/etc/passwd")
    fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server))
    unpacked = tmp_path / "cache" / "PAM50" / "template" / "link"
    assert not unpacked.is_symlink()
    assert unpacked.read_text() == "/etc/passwd"


@pytest.mark.parametrize(
    ("content", "said"), [(b"no zip", "not a complete zip"), (None, "can't be downloaded")]
)
def test_failure_leaves_nothing(
    content: bytes | None, said: str, tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    archive.unlink()
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(TemplateError, match=said) as caught:
        fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_archive_without_template(
    tmp_path: Path, server: ThreadingHTTPServer, archive: Path
) -> None:
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("PAM50/README.md", b"nothing here")
    with pytest.raises(TemplateError, match="no folder template/"):
        fetch(tmp_path / "cache" / "PAM50", RELEASE, address(server))


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    dest = tmp_path / "PAM50"
    dest.mkdir()
    (dest / "mine.txt").write_text("mine")
    with pytest.raises(TemplateError, match="holds files that were not fetched"):
        fetch(dest, RELEASE, "http://127.0.0.1:1/never")
    assert (dest / "mine.txt").read_text() == "mine"


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        fetch(tmp_path / "file" / "PAM50", RELEASE, "http://127.0.0.1:1/never")
