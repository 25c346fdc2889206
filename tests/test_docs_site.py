"""The documentation as a site, and its pages that are made from the code."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from spinalprep.app.options import options_of
from spinalprep.bids.columns import COLUMNS
from spinalprep.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_flag_and_column_is_in_the_reference(pages: ModuleType) -> None:
    flags, columns = pages.options(), pages.columns()
    for option in options_of(Settings):
        word = f"--{option.name}" if option.flag.group else f"`{option.key}`"
        assert re.search(rf"{re.escape(word)}[ `]", flags + " "), word
    assert all(f"| `{name}` |" in columns for name in COLUMNS)


def test_exit_codes_are_those_of_the_usage_page(pages: ModuleType) -> None:
    usage = (DOCS / "usage.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    table = usage.partition("## ")[0]
    cells = re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
    told = {int(code) for cell in cells for code in cell.split(",")}
    assert told == {code for code, _ in pages.EXIT_CODES}


def test_names_of_files_follow_the_contract(pages: ModuleType) -> None:
    files = pages.output_files()
    for name in (
        "space-T2w_label-SC_mask.nii.gz",
        "space-T2w_atlas-PAM50_seg-tracts_probseg.nii.gz",
        "space-PAM50_label-SC_desc-perslice_morph.tsv",
        "space-T2w_desc-<NAME>_metric.tsv",
    ):
        assert f"`{name}`" in files


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "label_levels" in (tmp_path / "site" / "reference" / "api.html").read_text()
