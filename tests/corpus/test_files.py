"""Odd labels, tables, sidecars, settings and weights: each is read, or refused in one line."""

import codecs
import json
import struct
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.app.config import read_config
from spinalprep.bids.cohort import read_exclusions
from spinalprep.bids.filters import read_filters
from spinalprep.bids.saved_tables import read_people
from spinalprep.bids.sidecar import read_sidecar
from spinalprep.cord.centerline import Centerline
from spinalprep.cord.mask import mask_of_drawn
from spinalprep.errors import SpinalprepError
from spinalprep.image import to_world
from spinalprep.image.label_values import label_values
from spinalprep.image.sanity import conform, conform_label
from spinalprep.levels.discs import discs_from_labels
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import load_model
from spinalprep.reports.gates import load_gates

READ = "read"
AFFINE = np.diag([-1.0, 1, 2, 1])
CORD = np.zeros((48, 48, 6), np.float32)
CORD[20:28, 20:28] = 1
CANAL = np.zeros_like(CORD)
CANAL[17:31, 17:31] = 1
SOFT = np.maximum(CORD, CANAL * np.random.default_rng(0).uniform(0.1, 0.4, CORD.shape))
DISCS = np.zeros_like(CORD)
DISCS[24, 24, 1], DISCS[24, 24, 4] = 60, 3
LINE = Centerline(to_world(np.array([[24, 24, k] for k in (5, 4, 3, 2, 1, 0)]), AFFINE))


def discs(*numbers: int) -> np.ndarray:
    """Return disc labels, one a slice from the head down."""
    data = np.zeros_like(CORD)
    for place, number in enumerate(numbers):
        data[24, 24, 5 - place] = number
    return data


def read_label(data: np.ndarray, role: str, affine: np.ndarray, folder: Path) -> str:
    """Write an image and a label with these values, and read it as the graph does."""
    image, path = folder / "T2w.nii.gz", folder / "label.nii.gz"
    nib.nifti1.Nifti1Image(CORD + 1, AFFINE).to_filename(image)
    nib.nifti1.Nifti1Image(np.asarray(data, np.float32), affine).to_filename(path)
    found = conform_label(path, conform(image))
    values = found.with_data(label_values(found.data, path.name, role))
    if role == "cord":
        assert mask_of_drawn(values).sum() == CORD.sum()
    if role == "discs":
        assert discs_from_labels(values, LINE).known
    return READ


def label(
    data: np.ndarray, role: str = "cord", affine: np.ndarray = AFFINE
) -> Callable[[Path], str]:
    """Return a reader of a label."""
    return partial(read_label, data, role, affine)


def people(text: bytes | str) -> Callable[[Path], str]:
    """Return a reader of participants.tsv."""

    def read(folder: Path) -> str:
        path = folder / "participants.tsv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return "; ".join((READ, *read_people(path).notes))

    return read


def file(
    reader: Callable[[Path], object], text: bytes | str, name: str = "odd.json"
) -> Callable[[Path], str]:
    """Return a reader of a file with this content."""

    def read(folder: Path) -> str:
        path = folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        reader(path)
        return READ

    return read


def sidecar(text: bytes | str, above: str | None = None) -> Callable[[Path], str]:
    """Return a reader of the sidecar of an image, and of one that it inherits."""

    def read(folder: Path) -> str:
        image = folder / "sub-01" / "anat" / "sub-01_T2w.nii.gz"
        image.parent.mkdir(parents=True)
        beside = image.with_name("sub-01_T2w.json")
        beside.write_bytes(text.encode() if isinstance(text, str) else text)
        if above is not None:
            (folder / "T2w.json").write_text(above)
        return "; ".join((READ, *read_sidecar(image, folder)[1]))

    return read


def weights(data: bytes, card: str | None = None) -> Callable[[Path], str]:
    """Return a reader of a file of weights with a card that fits it or not."""

    def read(folder: Path) -> str:
        path = folder / "odd.safetensors"
        path.write_bytes(data)
        told = {"preset": min(PRESETS), "sha256": sha256(data).hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(told) if card is None else card)
        load_model(path)
        return READ

    return read


TURNED = np.diag([-1.0, 1, 1, 1]) + np.eye(4, k=3) * (CORD.shape[0] - 1)
MIRRORED = AFFINE @ TURNED  # the same places, with the first axis the other way round
ROW = "participant_id\tgroup\n01\tMS\n"
HEAD = json.dumps(
    {"w": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}
).encode()
LIAR = struct.pack("<Q", len(HEAD)) + HEAD
LISTED = json.dumps({"preset": ["x"], "sha256": sha256(LIAR).hexdigest()})
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))

# input, its reader, what its line says ("read", or part of the message), exit code of a run
CASES: list[tuple[str, Callable[[Path], str], str, int]] = [
    ("a cord of 0 and 1", label(CORD), READ, 0),
    ("a cord of 0 and 2", label(CORD * 2), READ, 0),
    ("a cord of 0 and 255", label(CORD * 255), READ, 0),
    ("a soft cord", label(np.maximum(CORD, 0.4 * CANAL)), READ, 0),
    ("a soft cord of 0 to 255", label(np.rint(SOFT * 255)), READ, 0),
    ("a soft cord that peaks at 0.4", label(CORD * 0.4), "is empty: its shares reach 0.40", 1),
    ("cord 1 and canal 2", label(2 * CANAL - CORD), "has several classes (1, 2)", 1),
    ("fractions up to 2", label(CORD * 2 - 0.5 * CANAL * CORD), "fractions up to 1.5", 1),
    ("negative values", label(CORD - 1), "negative values", 1),
    ("background and cord exchanged", label(1 - CORD), "in its median slice", 1),
    ("an empty cord", label(CORD * 0), "the cord mask is empty", 1),
    ("an empty lesion mask", label(CORD * 0, "lesion"), READ, 0),
    ("lesions with numbers", label(DISCS, "lesion"), READ, 0),
    (
        "tissues of a tumor as classes",
        label(np.where(DISCS > 0, 1, 2 * CORD), "lesion"),
        "several classes",
        1,
    ),
    ("disc labels with the conus", label(DISCS, "discs"), READ, 0),
    ("disc labels of one disc", label(discs(3), "discs"), READ, 0),
    (
        "disc labels of the pontomedullary junction and groove alone",
        label(discs(50, 49), "discs"),
        "no disc label found",
        1,
    ),
    ("disc labels with the pontomedullary junction", label(discs(50, 2, 3), "discs"), READ, 0),
    ("disc labels of a level that there is not", label(discs(3, 26), "discs"), "not a disc", 1),
    ("disc labels from foot to head", label(discs(4, 3), "discs"), "lies above disc label", 1),
    ("a label of 3e38", label(CORD * 3e38), "values up to 3e+38", 1),
    (
        "disc labels that were interpolated",
        label(DISCS * 0.9, "discs"),
        "expected whole numbers",
        1,
    ),
    ("a label on another grid", label(CORD[:-1]), "is on a different grid", 1),
    (
        "a label of another person",
        label(CORD, affine=AFFINE + np.eye(4, k=3) * 30),
        "is on a different grid",
        1,
    ),
    ("a label with its voxels in another order", label(CORD[::-1], affine=MIRRORED), READ, 0),
    ("a label NaN everywhere", label(CORD * np.nan), "is NaN everywhere", 1),
    ("participants.tsv with a byte order mark", people(codecs.BOM_UTF8 + ROW.encode()), READ, 0),
    ("participants.tsv in UTF-16", people(ROW.encode("utf-16")), READ, 0),
    (
        "participants.tsv in Latin-1",
        people((ROW + "02\tMünchen\n").encode("latin-1")),
        "is not in UTF-8",
        0,
    ),
    ("participants.tsv with Windows' line ends", people(ROW.replace("\n", "\r\n")), READ, 0),
    ("participants.tsv with old Macs' line ends", people(ROW.replace("\n", "\r")), READ, 0),
    ("participants.tsv with quotes", people(ROW.replace("01", '"sub-01"')), READ, 0),
    (
        "participants.tsv with Participant_ID",
        people(ROW.replace("participant_id", " Participant_ID")),
        READ,
        0,
    ),
    ("participants.tsv with ids of nobody", people(ROW + "sub-99\tx\n../2\ty\n"), READ, 0),
    ("participants.tsv with an id twice", people(ROW + "sub-01\tx\n"), "is already in line 2", 0),
    (
        "participants.tsv with a row too short",
        people(ROW + "02\n"),
        "line 3: 1 cells for 2 columns",
        0,
    ),
    ("participants.tsv with a row without id", people(ROW + "\tMS\n"), "no participant_id", 0),
    ("participants.tsv with a row too long", people(ROW + "02\t3\tMS\n"), "line 3 has 3 cells", 1),
    ("participants.tsv with a column twice", people("participant_id\ta\ta\n"), "two columns a", 1),
    ("participants.tsv of 0 bytes", people(b""), "it is empty", 1),
    ("participants.tsv with commas", people(ROW.replace("\t", ",")), "separated by commas", 1),
    ("participants.tsv without ids", people("age\n3\n"), "no column participant_id", 1),
    ("participants.tsv of zero bytes (\\0)", people(b"\0" * 99), "it is not text", 1),
    ("a sidecar with a byte order mark", sidecar(codecs.BOM_UTF8 + b"{}"), READ, 0),
    ("a sidecar with paths out of the dataset", sidecar('{"IntendedFor": "../../x"}'), READ, 0),
    ("a sidecar above it that is a list", sidecar("{}", above="[1]"), "T2w.json does not", 0),
    ("a sidecar with NaN", sidecar('{"EchoTime": NaN}'), READ, 0),
    ("a sidecar that is a list", sidecar("[1]"), "does not contain a JSON object", 0),
    ("a sidecar cut short", sidecar('{"EchoTime": '), "can't be read as JSON", 0),
    (
        "a sidecar in Latin-1",
        sidecar('{"a": "ü"}'.encode("latin-1")),
        "can't be read as JSON",
        0,
    ),
    ("a sidecar nested 100,000 deep", sidecar("[" * 100_000), "nested too deeply", 0),
    ("a sidecar of 100 MB", sidecar(b" " * 100_000_000), "it has 100 MB", 0),
    (
        "a sidecar with a number of 10,000 digits",
        sidecar('{"a": ' + "9" * 10_000 + "}"),
        "can't be read as JSON",
        0,
    ),
    ("settings that are no TOML", file(read_config, "a = ["), "can't be read", 2),
    (
        "settings with an unknown key",
        file(read_config, 'output-dir = "x"'),
        "unknown keys: output-dir",
        2,
    ),
    ("settings in Latin-1", file(read_config, "# ü".encode("latin-1")), "can't be read", 2),
    (
        "settings nested 10,000 deep",
        file(read_config, "skip = " + "[" * 10_000),
        "can't be read",
        2,
    ),
    ("settings of 100 MB", file(read_config, b"#" * 100_000_000), "more than 1 MB", 2),
    ("filters that are a list", file(read_filters, "[]"), "--bids-filter-file", 2),
    ("filters nested 100,000 deep", file(read_filters, "[" * 100_000), "--bids-filter-file", 2),
    ("exclusions that are no YAML", file(read_exclusions, "{a: ["), "can't be read", 2),
    (
        "exclusions with a tag of Python",
        file(read_exclusions, "!!python/object/apply:os.system [x]"),
        "can't be read",
        2,
    ),
    (
        "exclusions that contain themselves",
        file(read_exclusions, "a: &a {b: *a}"),
        "references (*name) are not allowed",
        2,
    ),
    (
        "exclusions that grow to a billion",
        file(read_exclusions, LAUGHS),
        "references (*name) are not allowed",
        2,
    ),
    ("exclusions nested 2,000 deep", file(read_exclusions, "[" * 2_000), "can't be read", 2),
    ("exclusions of 100 MB", file(read_exclusions, b"#" * 100_000_000), "more than 1 MB", 2),
    ("gates nested 100,000 deep", file(load_gates, "[" * 100_000), "table of gates", 2),
    ("weights of 0 bytes", weights(b""), "odd.safetensors", 6),
    ("weights that lie about their size", weights(LIAR), "odd.safetensors", 6),
    ("weights with a header of 8 EB", weights(b"\xff" * 8 + b"{}"), "odd.safetensors", 6),
    (
        "weights that are a pickle",
        weights(b"\x80\x04cos\nsystem\n(S'x'\ntR."),
        "odd.safetensors",
        6,
    ),
    ("a card that is no JSON", weights(LIAR, "{"), "odd.json", 6),
    ("a card that is a list", weights(LIAR, "[]"), "odd.json", 6),
    ("a card whose preset is a list", weights(LIAR, LISTED), "odd.json asks for preset ['x']", 6),
    ("a card nested 100,000 deep", weights(LIAR, "[" * 100_000), "odd.json", 6),
]


def outcome(read: Callable[[Path], str], folder: Path) -> tuple[str, int]:
    """Return the line on a file and the exit code of a run for which it matters."""
    try:
        return read(folder), 0
    except SpinalprepError as error:
        return str(error), error.exit_code


@pytest.mark.parametrize(
    ("read", "says", "code"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_file_is_read_or_refused_in_one_line(
    tmp_path: Path, read: Callable[[Path], str], says: str, code: int
) -> None:
    line, found = outcome(read, tmp_path)
    assert (found, says in line) == (code, True), line
    assert "\n" not in line
