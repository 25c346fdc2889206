"""A key for code: what a module and everything it imports from our packages say, comments aside."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinalprep.engine.kept_sources import KeptSources

Stamp = tuple[int, int]

_FOLLOWED = ["spinalprep"]
_WRITTEN_BY_THE_BUILD = "_version"  # says which commit this is, not what the code does
_DISTRIBUTIONS = {
    "ants": "antspyx",
    "nibabel": "nibabel",
    "numpy": "numpy",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "torch": "torch",
}


@dataclass(frozen=True)
class _Source:
    """A source file as it was read."""

    path: str
    stamp: Stamp
    digest: str
    imports: tuple[str, ...]


def follow(package: str) -> None:
    """Let keys follow the imports of one more top-level package."""
    if package not in _FOLLOWED:
        _FOLLOWED.append(package)
        forget()


def followed() -> tuple[str, ...]:
    """Return the top-level packages whose code is followed."""
    return tuple(_FOLLOWED)


def is_ours(module: str | None) -> bool:
    """Tell whether the code of a module is followed."""
    return bool(module) and str(module).split(".", maxsplit=1)[0] in _FOLLOWED


def forget() -> None:
    """Read every source anew at the next call."""
    for cached in (code_key, reached_modules, source_file, _read, _root):
        cached.cache_clear()


_KEPT = KeptSources()


def keep_sources_in(folder: Path) -> None:
    """Keep what is read of sources in a folder, so that the next run need not parse them."""
    _KEPT.open(folder)


@functools.cache
def code_key(module: str) -> str:
    """Return the key of a module's code and of all that it reaches.

    Parameters
    ----------
    module : str
        Dotted name of a module of a followed package.

    Returns
    -------
    key : str
        SHA-256 over the normalized syntax trees (no comments, docstrings or
        layout) of every module of the followed packages that ``module``
        reaches through imports, imports inside functions and package
        ``__init__`` files included, and over the installed versions of the
        numerical libraries among the imports.

    Raises
    ------
    ModuleNotFoundError
        If ``module`` has no source file.

    Notes
    -----
    The sources are read, never imported. A name that is imported in code that
    can't be reached counts as well: the key may change too often, never too
    seldom. Modules loaded by a computed name and data files are not seen,
    nor is our own version: a commit that changes no code of a stage, such as one
    to the documentation, leaves its results in the cache. The version of ONNX Runtime, an extra,
    is part of the hash of networks in its format (`hashing.file_bytes`), not of all of them.
    """
    if source_file(module) is None:
        message = f"{module} has no source file; expected a module of {', '.join(_FOLLOWED)}"
        raise ModuleNotFoundError(message)
    digest = hashlib.sha256()
    libraries: set[str] = set()
    for name in reached_modules(module):
        source = _read(name)
        digest.update(f"{name}={source.digest}\n".encode())
        tops = {imported.split(".", maxsplit=1)[0] for imported in source.imports}
        libraries.update(_DISTRIBUTIONS.keys() & tops)
    for library in sorted(libraries):
        digest.update(f"{library}={installed(_DISTRIBUTIONS[library])}\n".encode())
    _KEPT.write()
    return digest.hexdigest()


@functools.cache
def reached_modules(module: str) -> tuple[str, ...]:
    """Return the followed modules that a module reaches through imports, itself included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        if name in found or parts[-1] == _WRITTEN_BY_THE_BUILD or source_file(name) is None:
            continue
        found.add(name)
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += [imported for imported in _read(name).imports if is_ours(imported)]
    return tuple(sorted(found))


def source_stamps(module: str) -> dict[str, Stamp]:
    """Return size and modification time of each file behind a key, as they were when read."""
    read = (_read(name) for name in reached_modules(module))
    return {source.path: source.stamp for source in read}


def unchanged(stamps: dict[str, Stamp]) -> bool:
    """Tell whether source files are as they were when their key was made."""
    try:
        return all(_stamp(Path(path)) == stamp for path, stamp in stamps.items())
    except OSError:
        return False


@functools.cache
def source_file(module: str) -> Path | None:
    """Return the file of a module of a followed package, or None where there is none."""
    top, *rest = module.split(".")
    root = _root(top) if is_ours(top) else None
    if root is None:
        return None
    base = root.joinpath(*rest)
    candidates = [base / "__init__.py"]
    if rest:
        candidates.append(base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _root(top: str) -> Path | None:
    """Find the folder of a top-level package without importing it."""
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def _read(module: str) -> "_Source":
    """Read a module's source: digest of its normalized tree, imports, and state of the file."""
    path = source_file(module)
    if path is None:
        return _Source("", (0, 0), "", ())
    stamp, package = _stamp(path), _package_of(module, path)
    known = _KEPT.find(path, package)
    if known is None:
        known = _parse(path, package)
        _KEPT.add(path, package, known)
    return _Source(str(path), stamp, *known)


def _package_of(module: str, path: Path) -> str:
    """Return the package that relative imports of a module start from."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def _parse(path: Path, package: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a source's normalized tree, and the names that it imports."""
    tree = ast.parse(path.read_bytes())
    nodes = list(ast.walk(tree))
    imports = tuple(sorted(set(_imported_names(nodes, package))))
    _drop_docstrings(nodes)
    dump = ast.dump(tree, annotate_fields=False)
    return hashlib.sha256(dump.encode()).hexdigest(), imports


def _stamp(path: Path) -> Stamp:
    """Return size and modification time of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _drop_docstrings(nodes: Sequence[ast.AST]) -> None:
    """Drop every docstring in place."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in nodes:
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]


def _imported_names(nodes: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Yield every dotted name that an import statement or ``import_module("x")`` may load."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            constants = (a.value for a in node.args if isinstance(a, ast.Constant))
            yield from (value for value in constants if isinstance(value, str))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module of a ``from`` import, relative ones resolved."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@functools.cache
def installed(distribution: str) -> str:
    """Return the installed version of a library, or an empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
