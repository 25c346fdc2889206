"""Search guided by coverage: files that reach code that no file before has reached.

    pip install atheris
    python tests/fuzz/guided.py images CORPUS --keep FINDS -max_total_time=3600

mutates the bytes of valid files with libFuzzer and reads them as `test_fuzz.py` does, with the
readers of spinalprep and nibabel instrumented. A find does not end the search: its file and what
was raised are kept, once for each place in the code. atheris has wheels for Linux only and is no
dependency.
"""

import argparse
import gzip
import io
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))
READERS = (  # of all that is imported, which takes a minute to instrument
    *("spinalprep.image", "spinalprep.bids", "spinalprep.app.config", "spinalprep.reports.gates"),
    *("spinalprep.flags", "spinalprep.networks.cards", "spinalprep.networks.weights"),
    *("spinalprep.registration.transform", "nibabel.nifti1", "nibabel.nifti2"),
    *("nibabel.analyze", "nibabel.spatialimages", "nibabel.volumeutils", "nibabel.arrayproxy"),
    *("nibabel.batteryrunners", "nibabel.quaternions", "json", "yaml"),
)

with atheris.instrument_imports(include=list(READERS)):
    import conftest
    import nibabel as nib
    import numpy as np
    import test_folders as folders
    import test_fuzz as random_search
    from safetensors.numpy import save as save_tensors

Files = dict[str, bytes]
EVERY_S = 60.0  # between two lines of progress


def _nifti(kind: str, raw: bytes) -> Files:
    """Half of the files are compressed after they were changed, so that changes reach headers."""
    if raw[-1:] < b"\x80":
        return {f"{kind}.nii": raw}
    return {f"{kind}.nii.gz": gzip.compress(raw, 1, mtime=0)}


def _label(raw: bytes) -> Files:
    """A label; what follows a line of ``#LABELS`` is the file that tells its values."""
    image, _, beside = raw.partition(b"\n#LABELS")
    files = _nifti("label", image)
    if beside:
        files["label.json" if beside[:1] == b"{" else "label.tsv"] = beside
    return files


def _transform(raw: bytes) -> Files:
    """An affine as text or of MATLAB, or a field."""
    if raw.startswith(b"#"):
        return {"affine.txt": raw}
    return {"affine.mat": raw} if raw[3:4] == b"\0" and raw[:1] != b"\x5c" else _nifti("warp", raw)


def _weights(raw: bytes) -> Files:
    """A card beside good weights, or weights beside a card that fits them."""
    good = next(iter(SEEDS["weights"]()))
    if raw.startswith(b"{"):
        return {"odd.safetensors": good, "odd.json": raw}
    card = {"preset": random_search.SMALLEST, "sha256": sha256(raw).hexdigest()}
    return {"odd.safetensors": raw, "odd.json": json.dumps(card).encode()}


def _settings(raw: bytes) -> Files:
    """The first byte chooses the reader."""
    names = sorted(folders.READERS)
    return {names[raw[0] % len(names) if raw else 0]: raw[1:]}


def _sidecars(raw: bytes) -> Files:
    """A sidecar and one that it inherits, apart by a zero byte."""
    own, _, above = raw.partition(b"\0")
    return {"T2w.json": above or own, "sub-01/anat/sub-01_T2w.json": own}


def _images() -> Iterator[bytes]:
    data = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    for kind, order in ((nib.nifti1.Nifti1Image, "<"), (nib.nifti2.Nifti2Image, ">")):
        for changed in (data, data.astype(np.int16), data[..., None].astype(np.uint8)):
            raw = random_search.nifti(changed, kind, order)
            yield from (raw + b"\0", raw + b"\xff")


def _labels() -> Iterator[bytes]:
    grid = np.zeros((8, 8, 8), np.float32)
    grid[3:5, 3:5] = 1
    for values in (grid, grid * 255, grid * 0.5, grid * 2):
        raw = random_search.nifti(values)
        yield from (raw + b"\0", raw + b"\xff")
        yield raw + b'\0\n#LABELS{"LabelMap": {"1": "SC", "2": "lesion"}}'
        yield raw + b"\xff\n#LABELSindex\tname\n1\tSC\n2\tlesion\n"


def _transforms() -> Iterator[bytes]:
    numbers = "1 0 0 0 1 0 0 0 1 3 4 5"
    yield (
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    ).encode()
    yield random_search._matlab(
        {"AffineTransform_double_3_3": random_search.MATRIX, "fixed": np.zeros(3)}
    )
    yield random_search.nifti(np.zeros((4, 4, 4, 1, 3), np.float32)) + b"\0"


def _good_weights() -> Iterator[bytes]:
    network = random_search.PRESETS[random_search.SMALLEST]()
    tensors = {
        name: values.detach().numpy().astype(np.float16)
        for name, values in network.state_dict().items()
        if values.dim()
    }
    content = save_tensors(tensors)
    card = {"preset": random_search.SMALLEST, "task": "discs", "scale": 1.0}
    yield content
    yield json.dumps(card | {"sha256": sha256(content).hexdigest()}).encode()


def _tables() -> Iterator[bytes]:
    for text in ("participant_id\tage\tsex\n01\t34\tF\nsub-02\tn/a\tM\n", 'a\tb\r\n"1"\t2\r\n'):
        yield from (text.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "latin-1"))


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "images": _images,
    "labels": _labels,
    "sidecars": lambda: iter(
        (b'{"RepetitionTime": 2.0}\0{"FlipAngle": 9}', b'\xef\xbb\xbf{"a": [1, "x", null, NaN]}')
    ),
    "tables": _tables,
    "transforms": _transforms,
    "weights": _good_weights,
    "settings": lambda: (
        bytes([number]) + folders.READERS[name][1]
        for number, name in enumerate(sorted(folders.READERS))
    ),
}
FILES: dict[str, Callable[[bytes], Files]] = {
    "images": lambda raw: _nifti("image", raw),
    "labels": _label,
    "sidecars": _sidecars,
    "tables": lambda raw: {"participants.tsv": raw},
    "transforms": _transform,
    "weights": _weights,
    "settings": _settings,
}


class Search:
    """What is done with the bytes that libFuzzer makes, and what came of it."""

    def __init__(self, kind: str, kept: Path) -> None:
        """Read files of this kind; keep finds in a folder."""
        self._files, self._kept = FILES[kind], kept
        self._read = folders.read_settings if kind == "settings" else random_search.KINDS[kind].read
        self._folder = Path(tempfile.mkdtemp())
        self._places: set[str] = set()
        self._tried, self._began, self._told = 0, time.monotonic(), 0.0

    def one(self, raw: bytes) -> None:
        """Read one file."""
        self._tried += 1
        try:
            conftest.attempt(self._read, self._files(raw), self._folder)
        except Exception as error:
            self._keep(raw, error)
        if time.monotonic() - self._told > EVERY_S:
            self._told = time.monotonic()
            wall = self._told - self._began
            sys.stdout.write(f"{self._tried} files, {len(self._places)} finds; {wall:.0f} s, ")
            sys.stdout.write(f"of CPU time {time.process_time():.0f} s\n")
            sys.stdout.flush()

    def _keep(self, raw: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if f"{os.sep}spinalprep{os.sep}" in frame.filename]
        last = (ours or frames)[-1]
        place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
        if place in self._places:
            return
        self._places.add(place)
        self._kept.mkdir(parents=True, exist_ok=True)
        stem = self._kept / sha256(raw).hexdigest()[:12]
        stem.with_suffix(".bin").write_bytes(raw)
        text = io.StringIO()
        traceback.print_exception(error, file=text)
        stem.with_suffix(".log").write_text(f"{place}\n{text.getvalue()}")


def main() -> None:
    """Write the valid files into the corpus and search."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("kind", choices=FILES)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--keep", type=Path, required=True, help="folder for finds")
    given, more = parser.parse_known_args()
    for folder in (given.corpus, given.keep):
        folder.mkdir(parents=True, exist_ok=True)
    for content in SEEDS[given.kind]():
        (given.corpus / sha256(content).hexdigest()).write_bytes(content)
    search = Search(given.kind, given.keep)
    atheris.Setup([sys.argv[0], *more, str(given.corpus)], search.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
