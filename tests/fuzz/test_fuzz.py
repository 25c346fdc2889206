"""Files that were changed at random: each is read, or refused by an error of the project.

Nothing else may be raised, nothing be written, and neither time nor memory grow without bound. The
suite tries a few files of each kind, always the same; with ``SPINALPREP_FUZZ_MINUTES=10`` each kind
is searched for as many minutes, with other seeds each round.
"""

import gzip
import io
import json
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors
from scipy import io as matlab

from spinalprep.bids.lookups import label_value
from spinalprep.bids.saved_tables import read_people
from spinalprep.bids.sidecar import read_sidecar
from spinalprep.cord.mask import mask_of_drawn
from spinalprep.errors import SpinalprepError
from spinalprep.image import Image
from spinalprep.image.label_values import label_values
from spinalprep.image.sanity import check, check_header, conform_label
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import load_model
from spinalprep.registration.transform import Affine, Field, read_itk

MEM_GB = 0.5
AFFINE = np.diag([-1.0, 1, 2, 1])
ROLES = ("cord", "gm", "lesion", "centerline", "discs")
Draw = Callable[[st.SearchStrategy[Any]], Any]


# ---------------------------------------------------------------- changes of valid files


@st.composite
def bitten(draw: Draw, content: bytes) -> bytes:
    """Bytes set, left out, put in, repeated, or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(1, 16))
        how = draw(st.sampled_from(("set", "set", "drop", "put", "repeat", "cut")))
        if how == "set":
            more = draw(st.binary(min_size=1, max_size=4))
            data[at : at + len(more)] = more
        elif how == "drop":
            del data[at : at + length]
        elif how == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif how == "repeat":
            data[at:at] = data[max(at - length, 0) : at] * draw(st.integers(1, 64))
        else:
            del data[at:]
    return bytes(data)


def odd_values(kind: np.dtype[Any]) -> st.SearchStrategy[Any]:
    """Values of a field of a header: its limits, what is no number, and any other."""
    if kind.kind in "iu":
        least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        usual = [n for n in (-1, 0, 1, 2, 3, 5, 16, 64, 128, 1024, 2304, least, most) if n >= least]
        return st.sampled_from([n for n in usual if n <= most]) | st.integers(least, most)
    if kind.kind == "f":
        usual = [0.0, -1.0, 1e-30, 1e30, np.nan, np.inf, -np.inf, 352.0, 1e9]
        return st.sampled_from(usual) | st.floats(width=kind.itemsize * 8)
    return st.binary(max_size=kind.itemsize)


@st.composite
def odd_header(draw: Draw, raw: bytes) -> bytes:
    """Some fields of the header of a NIfTI file set to odd values."""
    is_second = raw[:4] in (b"\x00\x00\x02\x1c", b"\x1c\x02\x00\x00")
    kind = nib.nifti2.Nifti2Header if is_second else nib.nifti1.Nifti1Header
    size = kind.template_dtype.itemsize
    told = kind(raw[:size], check=False)
    fields = told._structarr
    names = [name for name in fields.dtype.names if fields.dtype[name].itemsize]
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=4)):
        base = fields.dtype[name].base
        value = draw(odd_values(base))
        if fields.dtype[name].shape:
            fields[name][draw(st.integers(0, fields.dtype[name].shape[0] - 1))] = value
        else:
            fields[name] = value
    return bytes(told.binaryblock) + raw[size:]


def nifti(
    data: Any, kind: Any = nib.nifti1.Nifti1Image, order: str = "<", affine: Any = AFFINE
) -> bytes:
    """Return a NIfTI file, not compressed."""
    made = kind(data, affine, kind.header_class(endianness=order), dtype=data.dtype)
    made.header.set_xyzt_units("mm", "sec")
    return bytes(made.to_bytes())


@st.composite
def odd_nifti(draw: Draw, seeds: tuple[bytes, ...]) -> tuple[str, bytes]:
    """A NIfTI file with an odd header, odd bytes, or an odd stream of gzip; and its ending."""
    raw = draw(st.sampled_from(seeds))
    how = draw(st.sampled_from(("header", "header", "bytes", "stream")))
    if how == "header":
        raw = draw(odd_header(raw))
    elif how == "bytes":
        raw = draw(bitten(raw))
    if how != "stream" and draw(st.booleans()):
        return ".nii", raw
    packed = gzip.compress(raw, mtime=0)
    return ".nii.gz", draw(bitten(packed)) if how == "stream" else packed


ODD_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT
JSON = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4)
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp437")


@st.composite
def odd_json(draw: Draw, content: dict[str, Any]) -> bytes:
    """A JSON object with other values, other keys, other bytes, or any JSON at all."""
    how = draw(st.sampled_from(("values", "any", "bytes")))
    told: Any = dict(content)
    if how == "any":
        told = draw(JSON)
    else:
        for key in draw(st.lists(st.sampled_from([*content, "Other"]), max_size=3)):
            told[key] = draw(JSON)
    text = json.dumps(told, ensure_ascii=draw(st.booleans()))
    coded = text.encode(draw(st.sampled_from(ENCODINGS)), errors="replace")
    return draw(bitten(coded)) if how == "bytes" else coded


@st.composite
def odd_table(draw: Draw, columns: tuple[str, ...], first: st.SearchStrategy[str]) -> bytes:
    """A table with odd cells, separators, line ends, encodings, or bytes."""
    cells = ODD_TEXT | st.sampled_from(("n/a", "", '"', '"a"', "1e999", "nan", "01", "MS"))
    names = draw(st.lists(st.sampled_from(columns) | ODD_TEXT, max_size=5))
    heading = [columns[0], *names] if draw(st.booleans()) else names
    rows = [
        [draw(first), *draw(st.lists(cells, max_size=5))] for _ in range(draw(st.integers(0, 5)))
    ]
    apart = draw(st.sampled_from(("\t", "\t", "\t", ",", ";", " ")))
    end = draw(st.sampled_from(("\n", "\r\n", "\r", "\n\n", "\v", "\u2028")))
    text = end.join(apart.join(row) for row in [heading, *rows])
    coded = text.encode(draw(st.sampled_from(ENCODINGS)), errors="replace")
    return draw(bitten(coded)) if draw(st.booleans()) else coded


# ---------------------------------------------------------------- kinds of files


@st.composite
def images(draw: Draw) -> dict[str, bytes]:
    """An image."""
    data = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    ending, content = draw(
        odd_nifti(
            (
                nifti(data),
                nifti(data.astype(np.int16), nib.nifti2.Nifti2Image, ">"),
                nifti(data[..., None].astype(np.uint8)),
            )
        )
    )
    return {f"image{ending}": content}


def read_image(folder: Path) -> None:
    """Read it as the graph and the dry run do."""
    (path,) = folder.iterdir()
    check_header(path, MEM_GB)
    found = check(path, MEM_GB).image
    assert found.data.dtype == np.float32
    assert np.isfinite(found.data).all()
    assert found.axes == "LAS"


@st.composite
def labels(draw: Draw) -> dict[str, bytes]:
    """A label with odd values, an odd header, and a table or sidecar that says what they are."""
    grid = np.zeros((8, 8, 8), np.float32)
    values = st.floats(width=32) | st.sampled_from((0.4, 0.5, 1.0, 2.0, 255.0, 60.0))
    for value in draw(st.lists(values | st.integers(-3, 300).map(float), max_size=6)):
        low, high = sorted(draw(st.tuples(st.integers(0, 7), st.integers(0, 7))))
        grid[low : high + 1, low : high + 1, :] = value
    raw = nifti(grid)
    kept = draw(st.booleans())
    ending, content = (".nii", raw) if kept else draw(odd_nifti((raw,)))
    beside = {"LabelMap": {"1": "SC", "2": "lesion", "0": "background"}, "Sources": ["x"]}
    told = draw(st.sampled_from(("", ".json", ".tsv")))
    files = {f"label{ending}": content}
    if told == ".json":
        files["label.json"] = draw(odd_json(beside))
    elif told == ".tsv":
        files["label.tsv"] = draw(
            odd_table(("index", "name"), st.sampled_from(("0", "1", "2", "x")))
        )
    return files


def read_label(folder: Path) -> None:
    """Read it for every role, on the grid of its image."""
    path = next(path for path in folder.iterdir() if ".nii" in path.name)
    found = conform_label(path, Image(np.zeros((8, 8, 8), np.float32), AFFINE), MEM_GB)
    for role in ROLES:
        try:
            values = label_values(found.data, path.name, role, label_value(path, role))
            assert np.isfinite(values).all()
            assert role == "discs" or (values.min() >= 0 and values.max() <= 1)
            if role == "cord":
                assert mask_of_drawn(found.with_data(values)).any()
        except SpinalprepError:
            continue


def sidecars() -> st.SearchStrategy[dict[str, bytes]]:
    """Sidecars of an image, one of them inherited."""
    usual = {"RepetitionTime": 2.0, "FlipAngle": 9, "MTState": True, "ImageType": ["M", "ND"]}
    return st.fixed_dictionaries(
        {"T2w.json": odd_json(usual), "sub-01/anat/sub-01_T2w.json": odd_json(usual)}
    )


def read_beside(folder: Path) -> None:
    """Read them as those of one image."""
    _, notes = read_sidecar(folder / "sub-01/anat/sub-01_T2w.nii.gz", folder)
    assert all("\n" not in note for note in notes)


def tables() -> st.SearchStrategy[dict[str, bytes]]:
    """participants.tsv."""
    names = st.sampled_from(("01", "sub-01", "sub-02", "é", "../03", "n/a", "")) | ODD_TEXT
    return st.fixed_dictionaries(
        {"participants.tsv": odd_table(("participant_id", "age", "sex", "group"), names)}
    )


def read_table(folder: Path) -> None:
    """Read it as both levels do."""
    found = read_people(folder / "participants.tsv")
    assert all(row["participant_id"].startswith("sub-") for row in found.rows)


def _matlab(content: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    matlab.savemat(stream, content, format="4")
    return stream.getvalue()


MATRIX = np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 1, 3, 4, 5])


@st.composite
def transforms(draw: Draw) -> dict[str, bytes]:
    """An affine of ITK as text or in MATLAB's format, or a field."""
    how = draw(st.sampled_from((".txt", ".mat", "field")))
    if how == "field":
        flow = np.zeros((4, 4, 4, 1, 3), np.float32)
        ending, content = draw(odd_nifti((nifti(flow),)))
        return {f"warp{ending}": content}
    numbers = st.lists(st.floats() | st.just(1.0), min_size=10, max_size=14)
    parameters, fixed = draw(numbers), draw(st.lists(st.floats(), min_size=2, max_size=4))
    if how == ".mat":
        key = draw(st.sampled_from(("AffineTransform_double_3_3", "Other", "Transform_")))
        made = _matlab({key: np.array(parameters), "fixed": np.array(fixed)})
        return {"affine.mat": draw(bitten(made)) if draw(st.booleans()) else made}
    text = "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
    text += f"Parameters: {' '.join(map(str, parameters))}\n"
    text += f"FixedParameters: {' '.join(map(str, fixed))}\n"
    return {"affine.txt": draw(bitten(text.encode())) if draw(st.booleans()) else text.encode()}


def read_transform(folder: Path) -> None:
    """Read it and move a point."""
    (path,) = folder.iterdir()
    found = read_itk(path)
    assert isinstance(found, Affine | Field)
    assert np.isfinite(found.apply(np.zeros((1, 3)))).all()


SMALLEST = "disc_unet"


@st.composite
def weights(draw: Draw) -> dict[str, bytes]:
    """Weights whose header lies, whose tensors are others or whose bytes are; with their card."""
    tensors = {
        name: values.detach().numpy().astype(np.float16)
        for name, values in PRESETS[SMALLEST]().state_dict().items()
        if values.dim()
    }
    content = save_tensors(dict(list(tensors.items())[: draw(st.sampled_from((1, 5, 1000)))]))
    how = draw(st.sampled_from(("header", "bytes", "size", "card")))
    (length,) = struct.unpack("<Q", content[:8])
    head: dict[str, Any] = json.loads(content[8 : 8 + length])
    if how == "header":
        name = draw(st.sampled_from(sorted(head)))
        odd = st.lists(st.integers(-1, 2**63), max_size=4)
        kind = st.sampled_from(("F32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "X")) | ODD_TEXT
        field = draw(st.sampled_from(("dtype", "shape", "data_offsets")))
        head[name] = dict(head[name]) | {field: draw(kind if field == "dtype" else odd | JSON)}
        text = json.dumps(head).encode()
        content = struct.pack("<Q", len(text)) + text + content[8 + length :]
    elif how == "size":
        content = struct.pack("<Q", draw(st.integers(0, 2**64 - 1))) + content[8:]
    elif how == "bytes":
        content = draw(bitten(content))
    card = {"preset": SMALLEST, "task": "discs", "scale": 1.0}
    card["sha256"] = sha256(content).hexdigest()
    told = draw(odd_json(card)) if how == "card" else json.dumps(card).encode()
    return {"odd.safetensors": content, "odd.json": told}


def read_weights(folder: Path) -> None:
    """Load them."""
    load_model(folder / "odd.safetensors")


@dataclass(frozen=True)
class Kind:
    """A kind of file: how odd ones are made, and what reads them."""

    files: st.SearchStrategy[dict[str, bytes]]
    read: Callable[[Path], None]


KINDS = {
    "images": Kind(images(), read_image),
    "labels": Kind(labels(), read_label),
    "sidecars": Kind(sidecars(), read_beside),
    "tables": Kind(tables(), read_table),
    "transforms": Kind(transforms(), read_transform),
    "weights": Kind(weights(), read_weights),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
@pytest.mark.parametrize("name", KINDS)
def test_odd_files_are_read_or_refused(name: str, search: Callable[..., int]) -> None:
    assert search(KINDS[name].files, KINDS[name].read) >= 10
