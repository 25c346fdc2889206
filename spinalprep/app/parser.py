"""Command line to settings; nothing heavy is imported here."""

from argparse import SUPPRESS, _ArgumentGroup
from argparse import ArgumentParser as _ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from spinalprep import __version__
from spinalprep.app.options import Option, options_of
from spinalprep.app.spelled import spell_out
from spinalprep.errors import UsageError
from spinalprep.flags import absolute
from spinalprep.settings import Settings

EPILOG = """exit codes: 0 every participant finished; 1 at least one failed (status.tsv says which
and why); 2 invalid arguments or a folder that cannot be written; 3 a quality gate says FAIL
(--fail-on-qc); 4 no usable input; 5 mixed results (group); 6 weights or template missing;
70 internal error; 130/143 interrupted (the same command resumes)."""


class ArgumentParser(_ArgumentParser):
    """Says what is wrong in one line; the usage is what ``--help`` is for."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with 2."""
        self.exit(2, f"x {message} (see {self.prog} --help)\n")


def parse(argv: Sequence[str]) -> Settings:
    """Return the settings of a command line; it wins over ``--config-file``, that over defaults.

    Raises
    ------
    UsageError
        If a value can't be used, or is not available in this version; argparse itself exits with
        2 on unknown flags.

    Examples
    --------
    >>> parse(["in", "out", "participant", "--participant_label", "01", "sub-02"]).participant_label
    ('01', '02')
    """
    options = {option.key: option for option in options_of(Settings)}
    spelled = [_hyphens(word) for word in argv]
    words = vars(build_parser().parse_args(spell_out(spelled, options.values())))
    config_file = words.pop("config_file", None)
    values = {key: options[key].collect(value) for key, value in words.items()}
    if config_file is not None:
        from spinalprep.app.config import read_config

        values = read_config(config_file) | values
    for key, value in values.items():
        if options[key].is_refused(value):
            said = "" if options[key].kind == "switch" else f" {value}"
            raise UsageError(f"--{options[key].name}{said} is not available in {__version__}")
    return Settings(**values)


def build_parser() -> ArgumentParser:
    """Return the parser of ``spinalprep``; what is not given is not in its answer."""
    parser = ArgumentParser(
        "spinalprep",
        description="Spinal cord MRI: from a BIDS dataset to BIDS derivatives and a report.",
        epilog=EPILOG,
        argument_default=SUPPRESS,
    )
    groups: dict[str, _ArgumentGroup] = {}
    for option in options_of(Settings):
        title = option.flag.group
        if not title:
            parser.add_argument(option.key, **_value(option), help=option.help)
            continue
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add(groups[title], option)
    groups["other"].add_argument(
        "--config-file", type=absolute, metavar="FILE", help="TOML file with options"
    )
    version = f"spinalprep {__version__}"
    groups["other"].add_argument("--version", action="version", version=version)
    return parser


def _add(group: _ArgumentGroup, option: Option) -> None:
    """Add a flag to a group of the parser."""
    names = [name for name in (option.flag.short, f"--{option.name}") if name]
    if option.kind == "switch":
        how: dict[str, Any] = {"action": "store_false" if option.default else "store_true"}
    elif option.kind == "count":
        how = {"action": "count"}
    else:
        how = _value(option)
        if option.kind != "one" and option.flag.one_each:
            how |= {"action": "append"}
        elif option.kind != "one":
            how |= {"action": "extend", "nargs": "+"}
    group.add_argument(*names, dest=option.key, help=option.help, **how)


def _value(option: Option) -> dict[str, Any]:
    """Return what argparse has to know of a value."""
    how: dict[str, Any] = {"type": option.read}
    if option.choices:
        how["choices"] = option.choices
    if option.flag.metavar:
        how["metavar"] = option.flag.metavar
    return how


def _hyphens(word: str) -> str:
    """Write a flag with hyphens; its value is left alone."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value
