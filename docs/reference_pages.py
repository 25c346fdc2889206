"""Reference pages that are made from the code, so that they can't drift from it."""

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from spinalprep.app.exit_codes import EXIT_CODES
from spinalprep.app.options import Option, options_of
from spinalprep.bids.columns import COLUMNS
from spinalprep.bids.derivative_kinds import NATIVE, OUTPUTS, REFERENCE, Output
from spinalprep.bids.group_names import MAPS
from spinalprep.settings import Settings

MADE = "*This page is generated from the source code.*"
SPACES = {NATIVE: "", REFERENCE: "space-T2w", "template": "space-PAM50"}


def write_pages(folder: Path) -> None:
    """Write every generated page into a folder."""
    folder.mkdir(exist_ok=True)
    pages = {"options": options(), "files": output_files(), "columns": columns(), "gates": gates()}
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def options() -> str:
    """Return every flag of ``spinalprep``, and the exit codes."""
    parts = ["# Command line", MADE, "`spinalprep BIDS_DIR OUT_DIR {participant,group} [options]`"]
    groups: dict[str, list[Option]] = {}
    for option in options_of(Settings):
        groups.setdefault(option.flag.group or "positional", []).append(option)
    for group, members in groups.items():
        rows = [(f"`{_usage(option)}`", option.help.replace("%%", "%")) for option in members]
        parts += [f"## {group}", table(("option", "meaning"), rows)]
    codes = [(str(code), text) for code, text in EXIT_CODES]
    return "\n\n".join([*parts, "## Exit codes", table(("code", "meaning"), codes)]) + "\n"


def _usage(option: Option) -> str:
    """Return an option as it is typed."""
    if not option.flag.group:
        return option.key
    value = "{" + ",".join(option.choices) + "}" if option.choices else option.flag.metavar
    value = "" if option.kind in ("switch", "count") else f" {value or 'VALUE'}"
    short = f"{option.flag.short}, " if option.flag.short else ""
    return f"{short}--{option.name}{value}"


def output_files() -> str:
    """Return every file of a participant and every map of a group."""
    rows = [(f"`{_name(output)}`", output.description) for output in OUTPUTS.values()]
    maps = [(f"`{kind}`", item.description) for kind, item in MAPS.items()]
    head = (
        "Names leave out the entities of the raw image (`sub-01_`, `ses-`, `run-` ...) and show a "
        "T2w reference and PAM50 as the template. Every file has a JSON sidecar."
    )
    return (
        "\n\n".join(
            [
                "# Output files",
                MADE,
                head,
                "## Participant",
                table(("file", "content"), rows),
                "## Maps of a group",
                table(("map", "content"), maps),
            ]
        )
        + "\n"
    )


def _name(output: Output) -> str:
    """Return how the name of an output ends."""
    parts = [SPACES[output.space]]
    parts += ["atlas-PAM50"] if output.atlas else []
    parts += [f"seg-{output.seg}"] if output.seg else []
    parts += [f"label-{output.label}"] if output.label else []
    parts += ["desc-<NAME>"] if output.named else [f"desc-{output.desc}"] if output.desc else []
    parts.append((output.suffix or "T2w") + output.extension)
    return "_".join(part for part in parts if part)


def columns() -> str:
    """Return every column of every table."""
    rows = [(f"`{name}`", unit or "", text) for name, (text, unit, _) in COLUMNS.items()]
    head = "The data dictionary beside each table says the same of the columns that it has."
    return (
        "\n\n".join(
            ["# Columns of the tables", MADE, head, table(("column", "unit", "definition"), rows)]
        )
        + "\n"
    )


def gates() -> str:
    """Return the thresholds of the quality gates."""
    found = json.loads((files("spinalprep") / "data" / "gates.json").read_text(encoding="utf-8"))
    rows = [
        (f"`{name}`", *(_limit(gate, key) for key in ("warn", "fail")), gate["action"])
        for name, gate in found.items()
    ]
    head = "Definitions are in [Quality gates](../gates.md)."
    shown = table(("metric", "WARN", "FAIL", "action"), rows)
    return "\n\n".join(["# Quality gates", MADE, head, shown]) + "\n"


def _limit(gate: dict[str, object], key: str) -> str:
    """Return a threshold with its direction."""
    if gate[key] is None:
        return "never"
    return f"{'<' if gate['better'] == 'high' else '>'} {gate[key]}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )
