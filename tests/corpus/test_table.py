"""The table of docs/reliability.md is that of the corpus; run this file to write it."""

import importlib.util
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
MARK = "<!-- corpus -->\n"
KINDS = {"images": "Images", "files": "Labels, tables, settings, weights", "datasets": "Datasets"}


def cases(kind: str) -> list[tuple[str, Any, str, int]]:
    """Return the cases of a module of the corpus."""
    spec = importlib.util.spec_from_file_location(f"corpus_{kind}", HERE / f"test_{kind}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.CASES)


def table() -> str:
    """Return the tables of the page."""
    lines: list[str] = []
    for kind, title in KINDS.items():
        lines += ["", f"### {title}", "", "| input | what happens | exit code |", "|---|---|---|"]
        for name, _, says, code in cases(kind):
            line = says.replace("|", "\\|")
            words = "read, with a warning" if code == 0 else "refused"
            happens = "read" if says == "read" else f"{words}: `{line}`"
            lines.append(f"| {name} | {happens} | {code} |")
    return "\n".join([*lines, ""])


def test_the_page_shows_the_corpus() -> None:
    assert PAGE.read_text(encoding="utf-8").split(MARK)[1] == table()


def test_the_corpus_is_large_and_every_input_has_its_own_name() -> None:
    names = [case[0] for kind in KINDS for case in cases(kind)]
    assert len(names) == len(set(names)) >= 180


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8").split(MARK)
    PAGE.write_text(MARK.join([text[0], table(), *text[2:]]), encoding="utf-8")
