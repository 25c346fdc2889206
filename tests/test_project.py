"""Files about the project agree with each other and with the code."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from spinalprep import RELEASE, __version__
from spinalprep.bids.dataset import BIDS_VERSION
from spinalprep.bids.names import CONTRASTS

ROOT = Path(__file__).parents[1]
SBOM = ROOT / ".ci" / "sbom"


def _setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


def _versioning() -> dict[str, str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["tool"]["setuptools_scm"]


def test_every_file_names_the_same_version() -> None:
    told = {
        "CITATION.cff": yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"],
        "codemeta.json": json.loads((ROOT / "codemeta.json").read_text())["version"],
        "boutiques.json": json.loads((ROOT / "boutiques.json").read_text())["tool-version"],
        "app.json": json.loads((ROOT / "app.json").read_text())["version"],
        "pyproject.toml": _versioning()["fallback_version"],
    }
    assert set(told.values()) == {RELEASE}, told
    released = re.findall(
        r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGES.md").read_text(), re.M
    )
    assert released[0] == RELEASE


def test_the_version_is_a_release_or_commits_after_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.post1\.dev\d+)?(\+\S+)?", __version__)


def test_a_tag_of_this_commit_is_this_version() -> None:
    command = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD", "--list", "v*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a clone")
    assert set(done.stdout.split()) <= {f"v{RELEASE}"}


def test_app_json_says_what_the_app_is() -> None:
    told = json.loads((ROOT / "app.json").read_text())
    assert told["license"] == _setup()["metadata"]["license_expression"]
    assert told["output"].endswith(BIDS_VERSION)
    assert set(told["suffixes"]) == set(CONTRASTS)
    for name in (*told["container-recipes"].values(), told["boutiques"], told["documentation"]):
        assert (ROOT / name).is_file(), name


def test_actions_are_well_formed_and_test_every_python() -> None:
    actions = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    jobs = actions["jobs"]
    supported = re.findall(r"Python :: (3\.\d+)", _setup()["metadata"]["classifiers"])
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported
    assert {"lint", "test", "package", "docs", "container", "release"} <= set(jobs)


@pytest.mark.slow
def test_the_bill_of_materials_lists_what_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py")
    bill = tmp_path / "sbom.cdx.json"
    subprocess.run(
        [str(SBOM), sys.executable, str(bill)], check=True, env={"SBOM_TOOL": sys.executable}
    )
    told = json.loads(bill.read_text())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    found = {part["name"].lower().replace("_", "-"): part["version"] for part in told["components"]}
    wanted = re.findall(r"^(\w[\w-]*)", _setup()["options"]["install_requires"], re.MULTILINE)
    missing = {
        name for name in wanted if found.get(name.lower().replace("_", "-")) != version(name)
    }
    assert not missing
