"""Odd datasets: what is found in them, and the exit code where nothing is."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spinalprep.bids.dataset import check_folders
from spinalprep.bids.query import find_sessions
from spinalprep.errors import SpinalprepError
from spinalprep.settings import Settings

T2W = "sub-01/anat/sub-01_T2w.nii.gz"
READ = "read"
COPIES = (
    *("sub-01/anat/sub-01_T2w (1).nii.gz", "sub-01/anat/Copy of sub-01_T2w.nii.gz"),
    *("sub-01/anat/sub-01_T2w.nii.gz~", "sub-01/anat/sub-01_T2w_heudiconv123.nii.gz"),
)
Make = Callable[[Path], Settings | None]


def files(*names: str, description: str | None = '{"Name": "x", "BIDSVersion": "1.10.0"}') -> Make:
    """Return a maker of a dataset of empty files; ``description`` None leaves that out."""

    def make(root: Path) -> None:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if description is not None:
            (root / "dataset_description.json").write_text(description)

    return make


def asked(make: Make, **given: object) -> Make:
    """Return a maker with settings beside; words with ``{root}`` are paths."""

    def made(root: Path) -> Settings:
        make(root)
        out, work = root.parent / "out", root.parent / "work"
        told = {k: Path(v.format(root=root)) if "{" in str(v) else v for k, v in given.items()}
        return replace(Settings(root, out, "participant", work_dir=work), **told)

    return made


def loop(root: Path) -> None:
    files(T2W)(root)
    (root / "sub-02").symlink_to("sub-02")
    (root / "sub-03").symlink_to("sub-04")
    (root / "sub-01" / "anat" / "up").symlink_to("..")


def ignoring(lines: str) -> Make:
    """Return a maker of a dataset with these lines in ``.bidsignore``."""

    def make(root: Path) -> None:
        files(T2W)(root)
        (root / ".bidsignore").write_text(lines)

    return make


def many(root: Path) -> None:
    files(T2W)(root)
    for number in range(10_000):
        (root / f"sub-x{number}").mkdir()


# input, how it is made, what its line says ("read", or part of the message), exit code of a run
CASES: list[tuple[str, Make, str, int]] = [
    ("a dataset with one image", files(T2W), READ, 0),
    ("no folder", lambda root: root.rmdir(), "is not a folder", 4),
    ("an empty folder", files(description=None), "it has no dataset_description.json", 4),
    ("no dataset_description.json", files(T2W, description=None), "is not a BIDS dataset", 4),
    (
        "a description that is a list",
        files(T2W, description="[]"),
        "does not contain a JSON obj",
        4,
    ),
    ("a description cut short", files(T2W, description="{"), "can't be read as JSON", 4),
    ("a description nested deeply", files(T2W, description="[" * 100_000), "nested too deeply", 4),
    ("nobody", files("README"), "there is no sub-* folder", 4),
    ("a participant that is a file", files("sub-01"), "there is no sub-* folder", 4),
    ("no anatomical image", files("sub-01/func/sub-01_bold.nii.gz"), "has no T1w, T2w", 4),
    (
        "contrasts that are not read",
        files("sub-01/anat/sub-01_UNIT1.nii.gz"),
        "sub-01_UNIT1.nii.gz",
        4,
    ),
    (
        "the name of another participant",
        files("sub-01/anat/sub-02_T2w.nii.gz"),
        "has no T1w, T2w",
        4,
    ),
    ("only derivatives in anat", files("sub-01/anat/sub-01_desc-x_T2w.nii.gz"), "desc-x_T2w", 4),
    ("a blank in the name of a participant", files("sub-a b/x"), "sub-a b holds more", 4),
    (
        "shell characters in the name of an image",
        files("sub-01/anat/sub-01_acq-$(id);`id`_T2w.nii.gz"),
        "is no label of BIDS",
        4,
    ),
    (
        "a line end and markup in the name of an image",
        files("sub-01/anat/sub-01_acq-<b>\n_T2w.nii.gz"),
        "is no label of BIDS",
        4,
    ),
    (
        "the name of an image in Latin-1",
        files(os.fsdecode(b"sub-01/anat/sub-01_acq-\xe4_T2w.nii.gz")),
        "is no label of BIDS",
        4,
    ),
    (
        "an image in capital letters (.NII.GZ)",
        files("sub-01/anat/sub-01_T2w.NII.GZ"),
        "sub-01_T2w.NII.GZ",
        4,
    ),
    ("a pair of .hdr and .img", files("sub-01/anat/sub-01_T2w.img"), "sub-01_T2w.img", 4),
    ("an image of FreeSurfer (.mgz)", files("sub-01/anat/sub-01_T2w.mgz"), "sub-01_T2w.mgz", 4),
    ("an image in bzip2", files("sub-01/anat/sub-01_T2w.nii.bz2"), "sub-01_T2w.nii.bz2", 4),
    (
        "what macOS and Windows put beside files",
        files(T2W, "sub-01/anat/._sub-01_T2w.nii.gz", "._sub-01", "sub-01/anat/.DS_Store"),
        READ,
        0,
    ),
    ("copies of files", files(T2W, *COPIES), READ, 0),
    ("a layout_config.json that is none", files(T2W, "layout_config.json"), READ, 0),
    ("an unknown participant", asked(files(T2W), participant_label=("9",)), "no participant 9", 4),
    (
        "a path as participant",
        asked(files(T2W), participant_label=("../..",)),
        "no participant ",
        4,
    ),
    ("an unknown session", asked(files(T2W), session_label=("9",)), "matches session 9", 4),
    ("links in a circle", loop, READ, 0),
    (
        "a dataset inside the dataset",
        files(T2W, f"sourcedata/x/{T2W}", f"derivatives/y/{T2W}"),
        READ,
        0,
    ),
    ("everybody in .bidsignore", ignoring("sub-*\n"), "names every participant", 4),
    ("a .bidsignore that is no pattern", ignoring("[\n!\n"), READ, 0),
    ("10,000 participants without a file beside one", many, READ, 1),
    ("out inside bids/derivatives", asked(files(T2W), out_dir="{root}/derivatives/x"), READ, 0),
    ("work inside the dataset", asked(files(T2W), work_dir="{root}/work"), READ, 0),
    ("out is the dataset", asked(files(T2W), out_dir="{root}"), "is the dataset itself", 2),
    ("work is the dataset", asked(files(T2W), work_dir="{root}"), "is the dataset itself", 2),
    ("a line of .bidsignore that is a range backwards", ignoring("[z-a]\n"), READ, 0),
    (
        "out inside a participant",
        asked(files(T2W), out_dir="{root}/sub-01/x"),
        "inside the folder",
        2,
    ),
    (
        "work inside a participant",
        asked(files(T2W), work_dir="{root}/sub-01/x"),
        "inside the folder",
        2,
    ),
    ("out is a file", asked(files(T2W, "f"), out_dir="{root}/f"), "can't be written", 2),
]


def outcome(make: Make, root: Path) -> tuple[str, int]:
    """Return the line on a dataset and the exit code of a run."""
    root.mkdir()
    settings = make(root) or asked(lambda _: None)(root)
    assert settings is not None
    try:
        check_folders(settings)
        first, *others = find_sessions(settings)
    except SpinalprepError as error:
        return str(error), error.exit_code
    assert [scan.relative for scan in first.scans] == [T2W]
    return READ, 0 if all(other.scans for other in others) else 1  # who has no image fails


SLOW = {many: pytest.mark.slow}


@pytest.mark.parametrize(
    ("make", "says", "code"),
    [pytest.param(*c[1:], id=c[0], marks=SLOW.get(c[1], ())) for c in CASES],
)
def test_a_dataset_is_read_or_refused_in_one_line(
    tmp_path: Path, make: Make, says: str, code: int
) -> None:
    line, found = outcome(make, tmp_path / "bids")
    assert (found, says in line) == (code, True), line
    assert "\n" not in line
