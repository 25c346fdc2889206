"""Sphinx: the pages of this folder as a site. Build: sphinx-build -W -b html docs site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from reference_pages import write_pages

from spinalprep import __version__

project = "spinalprep"
author = "The spinalprep developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"spinalprep {release}"
html_copy_source = False
numpydoc_show_class_members = False
autodoc_typehints = "none"
exclude_patterns = ["_build"]


def setup(app: object) -> None:
    """Write the generated pages before anything is read."""
    write_pages(Path(__file__).parent / "reference")
