"""The command ``spinalprep``."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from spinalprep.app.log import LOG, start_log
from spinalprep.app.parser import parse
from spinalprep.app.unchanged import repeat_unchanged
from spinalprep.bids.container import CONTAINER_VARIABLE, mount_hint
from spinalprep.device import find_device
from spinalprep.engine.resources import largest_gb
from spinalprep.environment import run_environment
from spinalprep.errors import FOLDER_TROUBLE, DefectError, SpinalprepError, UsageError
from spinalprep.flags import absolute
from spinalprep.memory import count_cpus, most_gb
from spinalprep.settings import Settings
from spinalprep.streams import end_streams, open_closed_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (a table in docs/usage.md)."""
    open_closed_streams()
    start_log()
    try:
        settings = parse(sys.argv[1:] if argv is None else argv)
        start_log(settings.verbose, settings.log_json)
        _refuse_unmounted(settings)
        settings = choose_device(within_limits(settings))
        set_environment(settings)
        if settings.level == "group":
            from spinalprep.app.group import run_group

            return run_group(settings)
        if repeat_unchanged(settings):
            return 0
        from spinalprep.app.run import run  # heavy: pybids, pydra

        return run(settings)
    except SpinalprepError as error:
        LOG.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        LOG.error("interrupted; the same command resumes")
        return 130
    except Exception as error:
        return _unexpected(error)
    finally:
        end_streams()


def _unexpected(error: Exception) -> int:
    """Say what nobody foresaw; return the exit code of a folder's trouble, or of a defect."""
    if isinstance(error, OSError) and error.errno in FOLDER_TROUBLE:
        where = error.filename2 or error.filename  # of a file that is renamed, what it becomes
        LOG.error("%s: %s; all finished results are kept", where, error.strerror)
        return UsageError.exit_code
    LOG.exception(
        "internal error, please report it (-v shows where): %s: %s", type(error).__name__, error
    )
    return DefectError.exit_code


def _refuse_unmounted(settings: Settings) -> None:
    """Name the likely cause where a container does not see a path.

    Raises
    ------
    UsageError
        If a folder or file of the command does not exist there.
    """
    if not os.environ.get(CONTAINER_VARIABLE):
        return
    paths = [settings.bids_dir, *settings.derivatives.values(), *settings.models.values()]
    if settings.template is not None and os.sep in settings.template:
        paths.append(absolute(settings.template))
    if missing := next((path for path in paths if not path.exists()), None):
        raise UsageError(f"{missing} does not exist in the container; {mount_hint(missing)}")


def within_limits(settings: Settings) -> Settings:
    """Return settings that ask for no more than this process may use; say what was too much."""
    cpus, most = count_cpus(), most_gb()
    if settings.nprocs > cpus and settings.worker != "slurm":
        LOG.warning(
            "--nprocs %d exceeds the %d CPUs available; all of these are used instead",
            settings.nprocs,
            cpus,
        )
        settings = replace(settings, nprocs=cpus)
    if settings.mem_gb > most and settings.worker != "slurm":
        LOG.warning(
            "--mem %.1fGB exceeds the limit of %.1f GB; the limit is used instead",
            settings.mem_gb,
            most,
        )
        settings = replace(settings, mem_gb=most)
    least = largest_gb()
    if settings.mem_gb < least and (settings.level, settings.worker) == ("participant", "local"):
        LOG.warning(
            "--mem %.1fGB is less than the %.1f GB that the largest step needs; steps run one at "
            "a time and may exceed it",
            settings.mem_gb,
            least,
        )
    return settings


def choose_device(settings: Settings) -> Settings:
    """Return settings with the device that the networks will run on in place of ``auto``.

    Raises
    ------
    UsageError
        If a GPU is wanted that torch does not see, or by tasks that are jobs of their own.
    """
    if settings.level == "group":  # no network runs there
        return replace(settings, device="cpu")
    if settings.worker == "slurm" and settings.device != "cpu":
        if settings.device == "cuda":
            raise UsageError(
                "--device cuda is not available with --worker slurm; use spinalprep-tools slurm "
                "--gres gpu:1"
            )
        return replace(settings, device="cpu")
    device = find_device(settings.device)
    if device.name:
        LOG.info("networks run on %s", device)
    return replace(settings, device=device.kind)


def set_environment(settings: Settings) -> None:
    """Set threads, folders and silence, before anything heavy is imported."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("MPLCONFIGDIR", str(settings.work_dir / "matplotlib"))  # not in the home
    limits = run_environment(settings.threads, settings.random_seed, settings.mem_gb)
    os.environ.update(limits | find_device(settings.device).environment(settings.work_dir))
