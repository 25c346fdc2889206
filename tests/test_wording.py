"""Texts that users read keep to the terms of docs/glossary.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# expressions that nobody outside this project uses: what to write instead
AVOID = {
    r"digital (person|people)": "synthetic subject",
    r"people left out|left-out (people|subjects)": "held-out subjects",
    r"drawn[- ]in lesion": "synthetic lesion",
    # expressions that are not in use outside this project: what to write instead
    r"there and back": "round trip",
    r"bears? (it )?out|borne out": "supported by image evidence",
    r"our defect": "internal error",
    r"the step (from|between) (the )?cord": "difference between cord and CSF",
    r"in no mean\b": "excluded from all means",
    r"front[- ]to[- ]back diameter": "anteroposterior diameter",
    r"looked at once": "tested once",
    r"weights of your own": "your own weights",
}
PAGES = [
    *(
        p for p in sorted((ROOT / "docs").rglob("*.md")) if p.parent.name != "reference"
    ),  # generated
    *sorted(ROOT.glob("*.md")),
]
TEMPLATES = sorted((ROOT / "spinalprep" / "reports").glob("*.jinja"))


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_use_the_terms_of_the_field(path: Path) -> None:
    text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
    found = [
        f"{hit[0]!r}: write {instead!r}"
        for pattern, instead in AVOID.items()
        for hit in re.finditer(pattern, text, re.IGNORECASE)
    ]
    assert not found, found


def test_links_between_pages_lead_somewhere() -> None:
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not missing


def test_pages_are_in_american_spelling() -> None:
    kept = "cancelled,localisation,localises,practise"  # SLURM's state, a column, and verbs
    command = [sys.executable, "-m", "codespell_lib", "--builtin", "en-GB_to_en-US", "-L", kept]
    code = ["--ignore-regex", r"`[^`\n]*`|\{[^{}\n]*\}|\]\([^)]*\)|<[^<>\n]*>"]
    told = subprocess.run(
        [*command, *code, *map(str, [*PAGES, *TEMPLATES])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "", told.stdout
    assert told.returncode == 0, told.stderr
