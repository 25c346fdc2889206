"""Datasets and settings that were changed at random, as `test_fuzz.py` does single files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from spinalprep.app.config import read_config
from spinalprep.bids.cohort import read_exclusions
from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.filters import read_filters
from spinalprep.bids.people import read_participants
from spinalprep.bids.query import find_sessions
from spinalprep.reports.gates import load_gates
from spinalprep.settings import Settings

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
KEYS = st.sampled_from(["T2w", "run", "skip", "mem", "warn", "model", "sub-01", "dice_template"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=4),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
TOKENS = [
    *(b"\0", b"\xff", b"\t", b"\r\n", b'"', b"'", b"{", b"[", b"}", b"]", b":", b",", b"=", b"NaN"),
    *(b"1e999", b"-1", b"9" * 30, b"../../x", b"\xc3\x28", b"\xef\xbb\xbf", b"#", b"&a", b"*a"),
    *(b"!!python/name:os", b"[[a]]", b"- ", b"1979-05-27", b"0x1F", b"---\n", b"? ", b"%x"),
]


@st.composite
def edited(draw: st.DrawFn, content: bytes) -> bytes:
    """A text with words of its grammar put in, and pieces lost or repeated."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(1, 12))
        how = draw(st.sampled_from(["put", "put", "drop", "repeat"]))
        if how == "put":
            data[at:at] = draw(st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=3))
        elif how == "drop":
            del data[at : at + length]
        else:
            data[at:at] = data[at : at + length]
    return bytes(data)


READERS: dict[str, tuple[Callable[[Path], object], bytes]] = {
    "a.toml": (read_config, b'mem = "8G"\nskip = ["n4"]\nmodel = {cord = "a"}\nverbose = 1\n'),
    "a.json": (read_filters, b'{"T2w": {"acquisition": "x", "run": [1, 2]}, "T1w": {}}'),
    "a.yml": (read_exclusions, b"sub-01: fail\nsub-02:\n  rating: artifact\n  note: x\n"),
    "gates.json": (load_gates, b'{"dice_template": {"warn": 0.8, "fail": 0.6}}'),
    "gates.toml": (load_gates, b"[dice_template]\nwarn = 0.8\nfail = 0.6\n"),
}
SETTINGS = st.one_of(
    [
        st.fixed_dictionaries({name: edited(content) | JSON})
        for name, (_, content) in READERS.items()
    ]
)


def read_settings(folder: Path) -> None:
    """Read a file that the command line names."""
    (path,) = folder.iterdir()
    READERS[path.name][0](path)


NAMES = st.sampled_from(
    [
        *("sub-01/anat/sub-01_T2w.nii.gz", "sub-01/anat/sub-01_acq-x_T2w.nii.gz", "sub-x"),
        *("sub-01/ses-1/anat/sub-01_ses-1_run-1_T1w.nii", "sub-01/anat/sub-01_mt-on_MTS.nii.gz"),
        *("sub-01/anat/sub-01_run-x_T2w.nii.gz", "sub-01/anat/_T2w.nii.gz", ".bidsignore"),
        *("sub-01/anat/sub-01_part-phase_T2w.nii.gz", "sub-é/anat/sub-é_T2w.nii.gz", "sub-/x"),
        *("T2w.json", "sub-01/anat/sub-01_T2w.json", "sub-01/sub-01_T2w.json", "sub-02/anat"),
        *("derivatives/labels/sub-01/anat/sub-01_T2w_seg-manual.nii.gz", "sub-01/ses-2"),
    ]
)
PEOPLE = b"participant_id\tage\tsex\tgroup\nsub-01\t34\tF\tMS\nsub-02\tn/a\tmale\tHC\n"


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, bytes]:
    """A dataset of odd names, with odd content."""
    files: dict[str, Any] = draw(st.dictionaries(NAMES, st.binary(max_size=9) | JSON, max_size=6))
    valid = st.just(b'{"Name": "x", "BIDSVersion": "1.9.0"}')
    files["participants.tsv"] = draw(edited(PEOPLE))
    return files | {"dataset_description.json": draw(valid | valid | JSON)}


def read_dataset(folder: Path) -> None:
    """Look for the sessions of a dataset, and for what is told of its people."""
    asked = Settings(folder, folder / "out", "participant", work_dir=folder / "work")
    for session in find_sessions(asked):
        assert all((folder / scan.relative).is_file() for scan in session.scans)
    assert read_participants(asked)["participant_id"].is_unique
    age, sex = age_and_sex(folder, "01")
    assert age is None or 0 < age < float("inf")
    assert sex in (None, "F", "M")


def test_odd_settings_are_read_or_refused(search) -> None:
    assert search(SETTINGS, read_settings) >= 10


@pytest.mark.slow
def test_odd_datasets_are_read_or_refused(search) -> None:
    assert search(datasets(), read_dataset, 0.25) >= 5
