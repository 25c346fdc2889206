"""What pydra's cache keys cover: contents of inputs, and the code behind a task.

Importing this module registers the serializers. Every process that hashes a
task must have done so: ``spinalprep.interfaces`` and ``spinalprep.workflows``
import it first.
"""

import hashlib
import os
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from fileformats.core import FileSet
from pydra.compose.base.field import Field
from pydra.utils.hash import (
    Cache,
    CacheKey,
    Hash,
    PersistentCache,
    bytes_repr_code,
    bytes_repr_function,
    bytes_repr_mapping_contents,
    bytes_repr_type,
    hash_single,
    register_serializer,
)

from spinalprep.engine.sources import code_key, installed, is_ours, keep_sources_in

__all__ = ["code_key", "keep_hashes_beside"]

_DIGEST_BYTES = 16


def keep_hashes_beside(caches: Iterable[Path]) -> Path | None:
    """Let pydra keep the digests of files in ``hashes`` beside the caches, not in the home."""
    first = next(iter(caches), None)
    if first is None:
        return None
    folder = first.parent / "hashes"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYDRA_HASH_CACHE"] = str(folder)
    keep_sources_in(first.parent / "sources")
    return folder


@register_serializer(types.FunctionType)  # type: ignore[untyped-decorator]
def function_bytes(function: types.FunctionType, cache: Cache) -> Iterator[bytes]:
    """Yield what a function computes: its name, its module's code key, defaults and closure."""
    if not is_ours(function.__module__):
        yield from bytes_repr_function(function, cache)
        return
    yield f"code:{function.__module__}.{function.__qualname__}:".encode()
    yield code_key(function.__module__).encode()
    if "<" in function.__qualname__:  # several may share one name
        yield from bytes_repr_code(function.__code__, cache)
    for cell in function.__closure__ or ():
        yield hash_single(cell.cell_contents, cache)
    yield hash_single((function.__defaults__, function.__kwdefaults__), cache)


@register_serializer(Field)  # type: ignore[untyped-decorator]
def field_bytes(field: Field, cache: Cache) -> Iterator[bytes]:
    """Yield the definition of an input or output without its help text."""
    yield f"{type(field).__module__}.{type(field).__name__}:{{".encode()
    kept = attrs.asdict(field, recurse=False, filter=lambda a, _: bool(a.eq) and a.name != "help")
    yield from bytes_repr_mapping_contents(kept, cache)
    yield b"}"


class _KnownDigests(PersistentCache):  # type: ignore[misc]
    """pydra's store of digests, asked once per process for each; it locks a file every time."""

    def get_or_calculate_hash(self, key: CacheKey, calculate_hash: Callable[[], Hash]) -> Hash:
        """Return the digest under a key: from memory, from its file, or calculated."""
        found = self._hashes.get(key)
        if found is None:
            found = self._hashes[key] = _kept(self.location, key) or super().get_or_calculate_hash(
                key, calculate_hash
            )
        return Hash(found)


def _kept(folder: Path, key: CacheKey) -> bytes:
    """Return the digest that is kept under a key; empty where none is, or half of one."""
    try:
        kept = (folder / hashlib.blake2b(str(key).encode()).hexdigest()).read_bytes()
    except OSError:
        return b""
    return kept if len(kept) == _DIGEST_BYTES else b""


_digests: dict[str, _KnownDigests] = {}  # by folder
_types: weakref.WeakKeyDictionary[type, bytes] = weakref.WeakKeyDictionary()


def _known_digests() -> _KnownDigests:
    """Return the digests of the folder that pydra keeps them in now."""
    folder = str(PersistentCache.location_default())
    if folder not in _digests:
        _digests[folder] = _KnownDigests(folder)
    return _digests[folder]


@register_serializer(type)  # type: ignore[untyped-decorator]
def type_bytes(klass: type, cache: Cache) -> Iterator[bytes]:
    """Yield what pydra does of a class, found once: hundreds of results are of the same few."""
    if klass not in _types:
        _types[klass] = b"".join(bytes_repr_type(klass, Cache(cache.persistent)))
    yield _types[klass]


@register_serializer(FileSet)  # type: ignore[untyped-decorator]
def file_bytes(files: FileSet, cache: Cache) -> Iterator[Any]:
    """Yield contents; the digest is kept under path, size, times and inode of every file.

    pydra's own key is path and modification time, and misses an edit that
    keeps the time. What a network in ONNX gives depends on the version of ONNX Runtime as well.
    """
    is_network = any(path.suffix == ".onnx" for path in files.fspaths)
    runtime = f"onnxruntime={installed('onnxruntime')}" if is_network else ""
    stamps = [runtime] if runtime else []
    for path in sorted(files.fspaths):
        stamps.append(_stamp(path))
        if path.is_dir():
            stamps.extend(_stamp(inner) for inner in sorted(path.rglob("*")))
    cache.persistent = _known_digests()
    yield CacheKey(tuple(stamps))
    yield f"{type(files).__module__}.{type(files).__name__}:{runtime}".encode()
    for key, chunks in files.byte_chunks(ignore_hidden_files=False, ignore_hidden_dirs=False):
        yield f",'{key}'=".encode()
        yield from chunks


def _stamp(path: Path) -> str:
    """Return everything that tells one state of a file from another, content aside."""
    s = os.stat(path)
    return repr((str(path), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino))


@register_serializer(np.generic)  # type: ignore[untyped-decorator]
@register_serializer(np.ndarray)  # type: ignore[untyped-decorator]
def array_bytes(array: Any, cache: Cache) -> Iterator[bytes]:
    """Yield type, shape and contents of an array."""
    yield f"numpy:{array.dtype.str}:{array.shape}:".encode()
    if array.dtype.hasobject:
        yield repr(array.tolist()).encode()
    else:
        yield np.ascontiguousarray(array).tobytes()
