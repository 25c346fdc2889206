"""Command line to settings; nothing heavy is imported here."""

import json
import math
import os
import sys
import tomllib
from argparse import Action, ArgumentTypeError, Namespace
from argparse import ArgumentParser as _ArgumentParser
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from spinalprep import __version__
from spinalprep.errors import UsageError
from spinalprep.settings import LESION_THRESHOLD, Settings

CONTRASTS = ("T2w", "T1w", "T2starw", "MTS")
STAGES = ("n4", "coreg", "lesion", "template")
EPILOG = """exit codes: 0 every participant finished; 1 at least one failed (status.tsv says which
and why); 2 bad arguments or a folder that can't be written; 3 a quality gate says FAIL
(--fail-on-qc); 4 no usable input; 5 mixed results (group); 6 weights or template missing;
70 our defect; 130/143 interrupted (the same command resumes)."""


class ArgumentParser(_ArgumentParser):
    """Says what is wrong in one line; the usage is what ``--help`` is for."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        self.exit(2, f"x {message} ({self.prog} --help lists what there is)\n")


def parse(argv: Sequence[str]) -> Settings:
    """Return the settings of a command line.

    Raises
    ------
    UsageError
        If a value can't be used; argparse itself exits with 2 on unknown flags.

    Examples
    --------
    >>> parse(["in", "out", "participant", "--participant_label", "01", "sub-02"]).participant_label
    ('01', '02')
    """
    parser = build_parser()
    words = [_hyphens(word) for word in argv]
    given = parser.parse_args(words)
    if given.config_file is not None:
        parser.set_defaults(**read_config(given.config_file))
        given = parser.parse_args(words)
    return _settings(given)


def build_parser() -> ArgumentParser:
    """Return the parser of ``spinalprep``."""
    parser = ArgumentParser(
        "spinalprep",
        description="Spinal cord MRI: from a BIDS dataset to BIDS derivatives and a report.",
        epilog=EPILOG,
    )
    parser.add_argument("bids_dir", type=_absolute, help="the dataset: a folder with sub-*/")
    parser.add_argument("out_dir", type=_absolute, help="where derivatives and reports go")
    parser.add_argument("level", choices=("participant", "group"), help="level of analysis")
    for add in (_add_bids, _add_workflow, _add_networks, _add_resources, _add_subset, _add_other):
        add(parser)
    return parser


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file whose keys are the names of flags (hyphens or underscores)."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config-file {path} can't be read: {error}") from error
    known = {action.dest: action for action in build_parser()._actions}
    config = {key.replace("-", "_"): value for key, value in table.items()}
    unknown = sorted(set(config) - set(known) | set(config) & {"bids_dir", "out_dir", "level"})
    if unknown:
        raise UsageError(f"--config-file {path} has unknown keys: {', '.join(unknown)}")
    return {key: _coerce(known[key], value, path) for key, value in config.items()}


def _coerce(action: Action, value: Any, path: Path) -> Any:
    """Return a TOML value as the flag's own type would give it."""
    if isinstance(value, bool) and action.nargs != 0:
        raise UsageError(f"--config-file {path}: {action.dest} wants a value, got {value}")
    if action.nargs == 0:
        return bool(value)
    convert: Any = action.type or str
    try:
        if isinstance(value, list):
            return [convert(str(item)) for item in value]
        single = convert(str(value))
    except (ValueError, ArgumentTypeError) as error:
        raise UsageError(f"--config-file {path}: {action.dest} = {value!r}: {error}") from error
    if action.choices is not None and single not in action.choices:
        wanted = ", ".join(map(str, action.choices))
        raise UsageError(f"--config-file {path}: {action.dest} = {value!r}; expected {wanted}")
    return [single] if action.nargs == "+" else single


def _hyphens(word: str) -> str:
    """Write a flag with hyphens; its value is left alone."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))


def _label(text: str) -> str:
    """Drop the ``sub-`` or ``ses-`` that people paste."""
    return text.removeprefix("sub-").removeprefix("ses-")


def named_path(text: str) -> tuple[str, Path]:
    """Read ``NAME=PATH``."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, _absolute(path)


def _metric(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not (name.isascii() and name.isalnum() and equals and pattern):
        raise ArgumentTypeError(f"{text!r} is not NAME=GLOB with a NAME of letters and digits")
    return name, pattern


def _space(text: str) -> str:
    """Read a space; the template's own name stands for it."""
    name = "template" if text in ("PAM50", "Generic") else text
    if name not in ("reference", "template", *CONTRASTS):
        known = ", ".join(("reference", "template", *CONTRASTS))
        raise ArgumentTypeError(f"{text!r} is no space that is known; expected some of {known}")
    return name


def _positive(text: str) -> int:
    number = int(text) if text.strip().isdecimal() else 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is not a positive number")
    return number


def _gigabytes(text: str) -> float:
    """Read ``8``, ``8GB`` or ``8000MB`` as gigabytes."""
    upper = text.upper().removesuffix("B")
    factor = {"M": 1e-3, "G": 1.0, "T": 1e3}.get(upper[-1:], 1.0)
    try:
        value = float(upper.rstrip("MGT")) * factor
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text} is not an amount of memory, such as 8 or 8000MB")
    return value


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    return _number(text, 1.0, "a number from 0 to 1")


def volume(text: str) -> float:
    """Read a volume in mm3."""
    return _number(text, sys.float_info.max, "a volume in mm3")


def _number(text: str, most: float, what: str) -> float:
    """Read a number from 0 to ``most``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ArgumentTypeError(f"{text} is not {what}")
    return value


def _add_bids(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("BIDS").add_argument
    add("--participant-label", nargs="+", type=_label, metavar="LABEL", help="only these people")
    add("--session-label", nargs="+", type=_label, metavar="LABEL", help="only these sessions")
    add("--bids-filter-file", type=_absolute, metavar="FILE", help="JSON of pybids filters")
    add(
        "-d",
        "--derivatives",
        nargs="+",
        type=named_path,
        metavar="NAME=PATH",
        help="labels=PATH: folder of manual masks (default: BIDS_DIR/derivatives/labels)",
    )
    add("--no-manual-labels", action="store_true", help="ignore manual masks")
    add("--skip-bids-validation", action="store_true", help="don't look at file names")
    add("--bids-database-dir", type=_absolute, metavar="DIR", help="keep the index here")


def _add_workflow(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("workflow").add_argument
    add("--reference-anat", choices=("auto", *CONTRASTS), default="auto", help="default: auto")
    add("--skip", action="append", choices=STAGES, help="leave a stage out (repeatable)")
    add("--denoise", action="store_true", help="non-local means before N4")
    add(
        "--model",
        nargs="+",
        type=named_path,
        metavar="NAME=PATH",
        help="weights of your own for centerline, cord, gm or discs",
    )
    add(
        "--metric",
        action="append",
        type=_metric,
        metavar="NAME=GLOB",
        help="measure these maps by region (repeatable); GLOB below BIDS_DIR, or absolute",
    )
    add(
        "--lesion-threshold",
        type=share,
        default=LESION_THRESHOLD,
        metavar="P",
        help="least probability that a lesion reaches; it goes down to 0.6 (default: %(default)s)",
    )
    add("--min-lesion-mm3", type=volume, default=3.0, metavar="MM3", help="default: 3")
    add("--template", metavar="NAME_OR_PATH", help="PAM50, Generic or a folder in PAM50's layout")
    add("--level-hint", metavar="HINT", help="C3@z=12.5 (mid-body) or C2/C3@z=20 (disc), RAS mm")
    add(
        "--output-spaces",
        nargs="+",
        type=_space,
        metavar="SPACE",
        help="reference (always), template, and contrasts (T1w...) that masks are brought back to; "
        "default: reference template",
    )
    add("--random-seed", type=int, default=0, metavar="N", help="default: 0")
    add("--reproducible", action="store_true", help="same numbers for any number of threads")


def _add_networks(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("other networks (not available yet)").add_argument
    add("--cord-model", metavar="NAME", help="another architecture for the cord")
    add("--lumbar", action="store_true", help="multi-class lumbar segmentation")
    add("--pathology", choices=("tumor",), help="tumour, edema and cavity")


def _add_resources(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("resources").add_argument
    add("--nprocs", type=_positive, metavar="N", help="CPUs in all (default: all)")
    add("--omp-nthreads", type=_positive, metavar="N", help="threads of one task (default: min 4)")
    add(
        "--mem",
        type=_gigabytes,
        metavar="GB",
        help="memory (default: 90 %% of what is free)",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    add("-w", "--work-dir", type=_absolute, default=_absolute("work"), help="default: ./work")
    add("--clean-workdir", action="store_true", help="empty the cache first")
    add("--worker", choices=("local", "slurm", "debug"), default="local", help="default: local")
    add("--retries", type=int, default=1, metavar="N", help="of a killed task (default: 1)")


def _add_subset(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("subset").add_argument
    add("--dry-run", action="store_true", help="print every node: hit or miss, and why")
    add("--reports-only", action="store_true", help="write the reports anew from the derivatives")
    add("--boilerplate-only", action="store_true", help="write the methods text only")
    add("--stop-on-first-crash", action="store_true", help="don't go on with the others")
    add("--sloppy", action="store_true", help="fast and rough, for tests")


def _add_other(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("group").add_argument
    column = "column of participants.tsv"
    add("--cohort-column", metavar="NAME", help=f"{column}: a map for each of its values")
    add("--person-column", metavar="NAME", help=f"{column}: who it is, to count people once")
    add("--covariate", metavar="NAME", help=f"{column}: number whose slope is tested")
    add("--nuisance", nargs="+", metavar="NAME", help="columns whose influence is removed")
    add("--min-n", type=_positive, default=5, metavar="N", help="people a voxel needs (default: 5)")
    add("--exclude-yml", type=_absolute, metavar="FILE", help="marks exported from the reports")
    add("--allow-mixed", action="store_true", help="count results of several versions together")
    add("--n-permutations", type=_positive, default=5000, metavar="N", help="default: 5000")
    add("--tfce", action="store_true", help="threshold-free cluster enhancement too (slow)")
    add = parser.add_argument_group("other").add_argument
    add("--config-file", type=_absolute, metavar="FILE", help="flags as TOML")
    add("--qc-gates", type=_absolute, metavar="FILE", help="thresholds of the quality gates")
    add("--fail-on-qc", action="store_true", help="exit 3 when a gate says FAIL")
    add("--write-graph", action="store_true", help="save the graph as a dot file")
    add(
        "--resource-monitor",
        action="store_true",
        help="always on, see resources.tsv",
    )
    add("-v", "--verbose", action="count", default=0, help="more on the screen")
    add("--log-json", action="store_true", help="one JSON object a line instead of text")
    add("--version", action="version", version=f"spinalprep {__version__}")


def _settings(given: Namespace) -> Settings:
    """Turn argparse's words into values."""
    for flag in ("cord_model", "lumbar", "pathology"):
        if getattr(given, flag):
            raise UsageError(f"--{flag.replace('_', '-')} is not available in {__version__}")
    values = {key: value for key, value in vars(given).items() if value is not None}
    values["manual_labels"] = not values.pop("no_manual_labels")
    values["derivatives"] = dict(values.get("derivatives", ()))
    values["models"] = dict(values.pop("model", ()))
    values["metrics"] = dict(values.pop("metric", ()))
    values["bids_filters"] = _filters(values.pop("bids_filter_file", None))
    values.update(_resources(given))
    names = {item.name for item in fields(Settings)}
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
        if key in names
    }
    return Settings(**known)


def _filters(path: Path | None) -> dict[str, dict[str, object]]:
    """Read a pybids filter file: ``{"t2w": {"acquisition": "sag"}}``."""
    if path is None:
        return {}
    try:
        filters = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--bids-filter-file {path} can't be read: {error}") from error
    if not isinstance(filters, dict) or not all(isinstance(f, dict) for f in filters.values()):
        raise UsageError(f"--bids-filter-file {path}: expected an object of objects")
    unknown = sorted(set(filters) - {name.lower() for name in CONTRASTS})
    if unknown:
        raise UsageError(f"--bids-filter-file {path}: unknown contrast {', '.join(unknown)}")
    return filters


def _resources(given: Namespace) -> dict[str, Any]:
    """Fill in what the machine offers."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    nprocs = given.nprocs or cpus
    memory = given.mem or _free_memory_gb() * 0.9
    threads = 1 if given.reproducible else min(given.omp_nthreads or 4, nprocs)
    return {"nprocs": nprocs, "omp_nthreads": threads, "mem_gb": memory}


def _free_memory_gb() -> float:
    """Return the memory that the machine, or the container's limit, leaves free, in GB."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(float(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return 4.0
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(free, float(text) if text.isdigit() else free) / 1e9
