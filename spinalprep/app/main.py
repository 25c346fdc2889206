"""The command ``spinalprep``."""

import os
import sys
from collections.abc import Sequence
from errno import EACCES, EDQUOT, ENOSPC, ENOTDIR, EPERM, EROFS

from spinalprep.app.log import LOG, start_log
from spinalprep.app.parser import parse
from spinalprep.environment import run_environment
from spinalprep.errors import SpinalprepError, UsageError
from spinalprep.settings import Settings

_FOLDER_TROUBLE = (
    EACCES,
    EDQUOT,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
)  # the user's to mend, not a defect


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (a table in docs/usage.md)."""
    start_log()
    try:
        settings = parse(sys.argv[1:] if argv is None else argv)
        start_log(settings.verbose, settings.log_json)
        set_environment(settings)
        if settings.level == "group":
            from spinalprep.app.group import run_group

            return run_group(settings)
        from spinalprep.app.run import run  # heavy: pybids, pydra

        return run(settings)
    except SpinalprepError as error:
        LOG.error("%s", error)
        return error.exit_code
    except OSError as error:
        if error.errno not in _FOLDER_TROUBLE:
            raise
        LOG.error("%s: %s; all finished results are kept", error.filename, error.strerror)
        return UsageError.exit_code
    except KeyboardInterrupt:
        LOG.error("interrupted; the same command resumes")
        return 130


def set_environment(settings: Settings) -> None:
    """Set threads and silence, before anything heavy is imported."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    limits = run_environment(settings.threads, settings.random_seed, settings.mem_gb)
    os.environ.update(limits)
