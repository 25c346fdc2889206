"""The command ``spinalprep``."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from errno import EACCES, EDQUOT, ENOSPC, ENOTDIR, EPERM, EROFS

from spinalprep.app.log import LOG, start_log
from spinalprep.app.parser import parse
from spinalprep.environment import run_environment
from spinalprep.errors import SpinalprepError, UsageError
from spinalprep.memory import count_cpus, most_gb
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
        settings = within_limits(settings)
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


def within_limits(settings: Settings) -> Settings:
    """Return settings that ask for no more than this process may use; say what was too much."""
    cpus, most = count_cpus(), most_gb()
    if settings.nprocs > cpus and settings.worker != "slurm":
        LOG.warning(
            "--nprocs %d exceeds the %d CPUs available, which are used", settings.nprocs, cpus
        )
        settings = replace(settings, nprocs=cpus)
    if settings.mem_gb > most and settings.worker != "slurm":
        LOG.warning(
            "--mem %.1fGB exceeds the limit of %.1f GB, which is used", settings.mem_gb, most
        )
        settings = replace(settings, mem_gb=most)
    return settings


def set_environment(settings: Settings) -> None:
    """Set threads, folders and silence, before anything heavy is imported."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("MPLCONFIGDIR", str(settings.work_dir / "matplotlib"))  # not in the home
    limits = run_environment(settings.threads, settings.random_seed, settings.mem_gb)
    os.environ.update(limits)
