"""A participant-level run: find, plan, compute, write, report."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from logging import WARNING

from spinalprep.app.ending import say_end
from spinalprep.app.jobs import Plan, Shared, gather_shared, plan_run
from spinalprep.app.log import LOG, listening
from spinalprep.app.observer import RunObserver
from spinalprep.app.outcome import Outcome, exit_code, session_status
from spinalprep.app.preview import print_plan, refuse_work, write_graphs, write_methods
from spinalprep.app.report import write_citation, write_report
from spinalprep.app.run_folder import RunFolder
from spinalprep.app.time_spent import time_lines
from spinalprep.app.unchanged import inputs_now, note_run
from spinalprep.app.work_folder import cache_folder
from spinalprep.bids.dataset import check_folders, write_dataset
from spinalprep.bids.filters import read_filters
from spinalprep.bids.query import find_sessions
from spinalprep.bids.saved_tables import MISSING
from spinalprep.bids.status import Status, write_status
from spinalprep.engine.cache_repair import other_runs
from spinalprep.engine.events import Observers
from spinalprep.engine.progress import progress_to
from spinalprep.engine.run import Interrupted, RunOptions, run_sessions
from spinalprep.engine.scheduler import is_here as scheduler_is_here
from spinalprep.errors import UsageError
from spinalprep.levels.discs import parse_hint
from spinalprep.reports.gates import Gate, load_gates
from spinalprep.settings import Settings


def run(settings: Settings) -> int:
    """Carry out the participant level and return the exit code."""
    _refuse_what_is_wrong(settings)
    gates = load_gates(settings.qc_gates)
    check_folders(settings)
    started, inputs = time.monotonic(), inputs_now(settings)
    with listening() as said:
        shared = gather_shared(settings)  # before people are looked for: it concerns all of them
        plan = plan_run(shared, list(find_sessions(settings)))
        if settings.dry_run:
            return print_plan(plan)
        _prepare_folders(plan)
    if settings.boilerplate_only:
        write_methods(plan)
        return 0
    if settings.reports_only:
        refuse_work(plan)
    if settings.write_graph:
        write_graphs(plan)
    code, outcomes = _carry_out(plan, gates)
    say_end(settings.out_dir, plan.participants, time.monotonic() - started)
    if code == 0:
        _note(settings, inputs, said, outcomes)
    return code


def _note(
    settings: Settings, inputs: str, said: Sequence[tuple[int, str]], outcomes: Sequence[Outcome]
) -> None:
    """Note a run in which nothing failed, so that the same one is soon over while it holds."""
    if any(outcome.failures for outcome in outcomes):
        return
    hits, sessions = {}, {id(one.job.session): one.job.session for one in outcomes}
    warned = [*said]
    for one in outcomes:
        key = one.job.files.key
        hits[key] = len(one.tasks) + (one.end.cache_hits if one.end is not None else 0)
        warned += [(WARNING, f"{key}: {line}") for line in one.results.warnings]
    rows = []
    for session in sessions.values():
        mates = [one for one in outcomes if one.job.session is session]
        total = sum(hits[one.job.files.key] for one in mates)
        rows.append(replace(session_status(mates), cache_hits=total))
    note_run(settings, inputs, warned, hits, rows)


def _refuse_what_is_wrong(settings: Settings) -> None:
    """Refuse files and words that can't be used, before any work."""
    if settings.level_hint is not None:
        parse_hint(settings.level_hint)
        if "template" in settings.skip:
            raise UsageError(
                "--level-hint needs the spacings of the template; do not use --skip template"
            )
    read_filters(settings.bids_filter_file)
    if settings.worker == "slurm" and not scheduler_is_here():
        raise UsageError(
            "--worker slurm: sbatch, squeue, scontrol and scancel were not all found; start it "
            "on a cluster node, outside a container"
        )


def _prepare_folders(plan: Plan) -> None:
    """Make a dataset of the output folder; note the sessions that can't be worked on."""
    settings = plan.shared.settings
    write_dataset(settings, plan.participants, plan.shared.template)
    for label in plan.participants if settings.clean_workdir == "first" else ():
        shutil.rmtree(cache_folder(settings, label), ignore_errors=True)
    for session, reason in plan.unusable:
        visit = f"ses-{session.session}" if session.session else MISSING
        who = f"sub-{session.participant}"
        write_status(settings.out_dir, Status(who, visit, "failed", MISSING, f"input: {reason}"))


def _carry_out(plan: Plan, gates: tuple[Gate, ...]) -> tuple[int, list[Outcome]]:
    """Run all jobs; derivatives, status and reports are written on the way."""
    settings = plan.shared.settings
    folder = RunFolder(settings)
    observer = RunObserver(plan, gates, folder, partial(_finish, plan.shared))
    observer.close_unusable()
    options = RunOptions(
        n_procs=settings.nprocs,
        omp_nthreads=settings.threads,
        mem_gb=settings.mem_gb,
        retries=settings.retries,
        seed=settings.random_seed,
        task_minutes=settings.task_minutes,
        worker=settings.worker,
        sbatch_args=settings.sbatch_args,
        max_jobs=settings.max_jobs,
        stop_on_first_crash=settings.stop_on_first_crash,
    )
    progress = progress_to(sys.stderr, settings.log_json, observer.settled)
    everybody = Observers(observer, progress)
    try:
        with folder.monitor():
            run_sessions(plan.tasks, plan.cache, options, everybody)
    except Interrupted as error:
        LOG.error("%s; the same command resumes", error)
        return error.exit_code, []
    outcomes = [observer.outcomes[key] for key in plan.jobs]
    write_citation(plan.shared, outcomes)
    for line in time_lines([task for one in outcomes for task in one.tasks], settings):
        LOG.info(line)
    return exit_code(outcomes, len(plan.unusable), fail_on_qc=settings.fail_on_qc), outcomes


def _finish(shared: Shared, label: str, outcomes: Sequence[Outcome]) -> None:
    """Write the report of a participant, and let the cache go where that was asked for."""
    write_report(shared, label, outcomes)
    wanted = shared.settings.clean_workdir == "on-success"
    if wanted and all(outcome.state == "finished" for outcome in outcomes):
        folder = cache_folder(shared.settings, label)
        if not other_runs(folder):
            shutil.rmtree(folder, ignore_errors=True)
