"""A key for code: what a module and everything it imports from our packages say, comments aside."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from pathlib import Path

_FOLLOWED = ["spinalprep"]
_DISTRIBUTIONS = {
    "ants": "antspyx",
    "nibabel": "nibabel",
    "numpy": "numpy",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "torch": "torch",
}


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
    for cached in (code_key, reached_modules, _read, _root):
        cached.cache_clear()


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
        SHA-256 over the normalised syntax trees (no comments, docstrings or
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
    seldom. Modules loaded by a computed name and data files are not seen.
    """
    if source_file(module) is None:
        message = f"{module} has no source file; expected a module of {', '.join(_FOLLOWED)}"
        raise ModuleNotFoundError(message)
    digest = hashlib.sha256()
    libraries: set[str] = set()
    for name in reached_modules(module):
        tree_digest, imports = _read(name)
        digest.update(f"{name}={tree_digest}\n".encode())
        libraries.update(_DISTRIBUTIONS.keys() & {i.split(".", maxsplit=1)[0] for i in imports})
    for library in sorted(libraries):
        digest.update(f"{library}={_version(_DISTRIBUTIONS[library])}\n".encode())
    return digest.hexdigest()


@functools.cache
def reached_modules(module: str) -> tuple[str, ...]:
    """Return the followed modules that a module reaches through imports, itself included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or source_file(name) is None:
            continue
        found.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += [imported for imported in _read(name)[1] if is_ours(imported)]
    return tuple(sorted(found))


def source_stamps(module: str) -> dict[str, tuple[int, int]]:
    """Return size and modification time of every file behind a module's key."""
    stamps = {}
    for name in reached_modules(module):
        path = source_file(name)
        if path is not None:
            status = path.stat()
            stamps[str(path)] = (status.st_size, status.st_mtime_ns)
    return stamps


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
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a module's normalised tree and the names that it may import."""
    path = source_file(module)
    if path is None:
        return "", ()
    source = path.read_bytes()
    if path.suffix != ".py":
        return hashlib.sha256(source).hexdigest(), ()
    tree = ast.parse(source)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports = tuple(sorted(set(_imported_names(tree, package))))
    dump = ast.dump(_without_docstrings(tree), annotate_fields=False)
    return hashlib.sha256(dump.encode()).hexdigest(), imports


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Drop every docstring in place."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield every dotted name that an import statement or ``import_module("x")`` may load."""
    for node in ast.walk(tree):
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


def _version(distribution: str) -> str:
    """Return the installed version of a library, or an empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
