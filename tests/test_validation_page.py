"""The overview of what was validated: every claim says on what, when and by which command."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADER = ["claim", "result", "data, n", "date", "command", "details"]
WITHOUT_SCRIPT = {
    "none kept",
    *(f"`spinalprep-tools {name}`" for name in ("evaluate", "finetune", "protocol lumbar")),
}


def tables(text: str) -> Iterator[list[list[str]]]:
    """Yield the cells of every table, its header first and its rule left out."""
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = [
            [cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines()
        ]
        yield [rows[0], *rows[2:]]


FOUND = list(tables((ROOT / "docs/validation.md").read_text()))
CLAIMS = [dict(zip(HEADER, row, strict=True)) for table in FOUND for row in table[1:]]


def test_every_table_has_the_same_columns() -> None:
    assert len(FOUND) >= 7
    assert all(table[0] == HEADER for table in FOUND)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: str(claim["claim"]))
def test_a_claim_says_when_and_by_what(claim: dict[str, str]) -> None:
    assert all(claim.values())
    assert claim["date"] == "in every test run" or re.fullmatch(r"2026-\d\d-\d\d", claim["date"])
    if claim["command"] not in WITHOUT_SCRIPT:
        for command in re.findall(r"`([^`]+)`", claim["command"]):
            script = command.split()[0]
            assert any((ROOT / folder / script).exists() for folder in (".", "benchmarks")), script


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/validation").glob("*.md")), ids=lambda p: p.name
)
def test_every_page_of_figures_is_reached_from_the_overview(page: Path) -> None:
    assert any(f"validation/{page.name}" in claim["details"] for claim in CLAIMS)
