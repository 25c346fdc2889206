"""Recipes and descriptions of datasets that ship with the package; found without torch."""

from importlib.resources import files
from pathlib import Path


def packaged_recipes() -> dict[str, Path]:
    """Return the TOML files of the packaged recipes, by name."""
    return _tables("recipes")


def packaged_datasets() -> dict[str, Path]:
    """Return the TOML files that describe datasets, by name."""
    return _tables("datasets")


def _tables(folder: str) -> dict[str, Path]:
    place = Path(str(files("spinalprep") / "data" / "training" / folder))
    return {path.stem: path for path in sorted(place.glob("*.toml"))}
