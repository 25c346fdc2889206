"""Settings as the words of a command line: what `parser.parse` reads, written."""

from collections.abc import Collection

from spinalprep.app.options import Option, options_of
from spinalprep.settings import Settings


def words_of(settings: Settings, leave_out: Collection[str] = ()) -> list[str]:
    """Return the words of a command that asks for these settings.

    Parameters
    ----------
    settings : Settings
        What differs from a default that holds everywhere is said; paths are absolute.
    leave_out : collection of str
        Fields that are not said.

    Examples
    --------
    >>> from spinalprep.app.parser import parse
    >>> settings = parse(["/in", "/out", "group", "--skip", "n4", "--min-n", "3"])
    >>> words_of(settings, leave_out=("work_dir", "nprocs", "mem_gb"))
    ['/in', '/out', 'group', '--skip=n4', '--min-n=3']
    """
    words: list[str] = []
    for option in options_of(Settings):
        value = getattr(settings, option.key)
        if not option.flag.group:
            words.append(str(value))
        elif option.key not in leave_out and value != option.default:
            words += _said(option, value)
    return words


def _said(option: Option, value: object) -> list[str]:
    flag = f"--{option.name}"
    if option.kind == "switch":
        return [flag]
    if option.kind == "count" and isinstance(value, int):
        return [flag] * value
    if option.kind == "many" and isinstance(value, tuple):
        return [f"{flag}={single}" for single in value]
    if option.kind == "pairs" and isinstance(value, dict):
        return [f"{flag}={name}={single}" for name, single in value.items()]
    if option.flag.write is not None:
        return [f"{flag}={option.flag.write(value)}"]
    return [f"{flag}={value}"]
