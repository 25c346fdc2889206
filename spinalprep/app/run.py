"""A participant-level run: find, plan, compute, write, report."""

import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spinalprep.app.log import LOG
from spinalprep.environment import run_environment
from spinalprep.errors import DefectError, InputError, SpinalprepError, UsageError
from spinalprep.settings import Settings


def set_environment(settings: Settings) -> None:
    """Set threads and silence, before anything heavy is imported."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    limits = run_environment(settings.threads, settings.random_seed, settings.mem_gb)
    os.environ.update(limits)


def run(settings: Settings) -> int:
    """Carry out the participant level and return the exit code."""
    set_environment(settings)
    _refuse_what_is_wrong(settings)
    from spinalprep.bids.dataset import check_folders, write_dataset
    from spinalprep.bids.query import find_sessions

    check_folders(settings)
    started = time.monotonic()
    sessions = list(find_sessions(settings))
    jobs, shared, failed = _prepare(settings, sessions)
    if settings.dry_run:
        return _print_plan(jobs, settings)
    labels = sorted({session.participant for session in sessions})
    write_dataset(settings, labels, shared.template)
    if settings.clean_workdir:
        for label in labels:
            shutil.rmtree(_cache(settings, label), ignore_errors=True)
    for session, error in failed:
        _write_failed(settings, session, error)
    if settings.boilerplate_only:
        return _write_boilerplate(settings, jobs, shared)
    if settings.reports_only:
        _refuse_work(jobs, settings)
    if settings.write_graph:
        _write_graphs(settings, jobs)
    code = _carry_out(settings, jobs, shared)
    _say_end(settings, labels, time.monotonic() - started)
    return max(code, 1 if failed else 0) if code in (0, 1, 3) else code


def _refuse_what_is_wrong(settings: Settings) -> None:
    """Refuse files and words that can't be used, before any work."""
    from spinalprep.bids.filters import read_filters
    from spinalprep.reports.gates import load_gates

    if settings.level_hint is not None:
        from spinalprep.levels.discs import parse_hint

        parse_hint(settings.level_hint)
        if "template" in settings.skip:
            raise UsageError(
                "--level-hint needs the template's spacings; leave out --skip template"
            )
    read_filters(settings.bids_filter_file)
    load_gates(settings.qc_gates)


def _prepare(settings: Settings, sessions: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Return jobs, what they share, and the sessions that can't be worked on."""
    from spinalprep.app.jobs import build_jobs, gather_shared
    from spinalprep.template.files import resolve_template

    skipped = "template" in settings.skip
    template = None if skipped else resolve_template(settings.template)
    if template is not None:
        LOG.info("template %s (%s)", template.name, template.version)
    shared = gather_shared(settings, template)
    jobs: dict[str, Any] = {}
    failed: list[Any] = []
    for session in sessions:
        for warning in session.warnings:
            LOG.debug("%s: %s", session.name, warning)
        if not session.scans:
            reason = "no T1w, T2w, T2starw or MTS image that is wanted"
            LOG.error("%s: %s", session.name, reason)
            failed.append((session, reason))
            continue
        try:
            jobs |= {job.key: job for job in build_jobs(session, shared)}
        except InputError as error:
            LOG.error("%s: %s", session.name, error)
            failed.append((session, str(error)))
        except SpinalprepError:
            raise
        except Exception as error:
            raise DefectError(f"the graph of {session.name} could not be built: {error}") from error
    _say_ignored(jobs)
    return jobs, shared, failed


def _say_ignored(jobs: Mapping[str, Any]) -> None:
    """Say in one line how many manual labels are not wanted."""
    from spinalprep.bids.labels import NOT_WANTED

    ignored = sum(x.reason == NOT_WANTED for job in jobs.values() for x in job.labels.found)
    if ignored:
        LOG.info("%d manual labels are ignored (%s)", ignored, NOT_WANTED)


def _cache(settings: Settings, participant: str) -> Path:
    from spinalprep.app.jobs import cache_folder

    return cache_folder(settings, participant)


def _cache_of(settings: Settings, jobs: Mapping[str, Any]) -> Callable[[str], Path]:
    return lambda key: _cache(settings, jobs[key].session.participant)


def _print_plan(jobs: Mapping[str, Any], settings: Settings) -> int:
    """Print every node, hit or miss, and why."""
    from spinalprep.engine.plan import plan_sessions

    tasks = {key: job.task for key, job in jobs.items() if job.task is not None}
    lines = plan_sessions(tasks, _cache_of(settings, jobs))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    hits = sum(line.hit for line in lines)
    sys.stdout.write(f"{len(lines)} nodes: {hits} in the cache, {len(lines) - hits} to compute\n")
    return 0


def _write_boilerplate(settings: Settings, jobs: Mapping[str, Any], shared: Any) -> int:
    """Write the methods text of what would be run, and nothing else."""
    from spinalprep.app.facts import Reporter, write_citation
    from spinalprep.app.watch import Watcher
    from spinalprep.bids.dataset import citation_paths

    reporter = Reporter(jobs, shared)
    reporter.watcher = Watcher(jobs, shared, (), "", lambda label: None)
    write_citation(settings.out_dir, reporter.facts(list(jobs)))
    LOG.info("methods: %s", citation_paths(settings.out_dir)[0])
    return 0


def _refuse_work(jobs: Mapping[str, Any], settings: Settings) -> None:
    """Refuse ``--reports-only`` where something would have to be computed."""
    from spinalprep.engine.plan import plan_sessions

    tasks = {key: job.task for key, job in jobs.items() if job.task is not None}
    missed = [line for line in plan_sessions(tasks, _cache_of(settings, jobs)) if not line.hit]
    if missed:
        raise UsageError(
            f"--reports-only: {len(missed)} results are not there yet (the first: {missed[0]}); "
            "run without it first"
        )


def _write_graphs(settings: Settings, jobs: Mapping[str, Any]) -> None:
    """Write the stages of every job, and who feeds whom, as a dot file beside its log."""
    from spinalprep.bids.atomic import put_text
    from spinalprep.bids.dataset import log_folder
    from spinalprep.engine.graph import stages_of

    for key, job in jobs.items():
        if job.task is None:
            continue
        lines = [f'digraph "{key}" {{']
        for stage in stages_of(job.task):
            lines.append(f'  "{stage.name}";')
            lines += [f'  "{upstream}" -> "{stage.name}";' for upstream in sorted(stage.upstream)]
        path = log_folder(settings.out_dir, job.session.participant) / f"{key}_graph.dot"
        put_text(settings.out_dir, path, "\n".join([*lines, "}"]) + "\n")


def _write_failed(settings: Settings, session: Any, reason: str) -> None:
    """Write the row of a session without a usable image."""
    from spinalprep.bids.derivatives import MISSING
    from spinalprep.bids.status import Status, write_status

    visit = f"ses-{session.session}" if session.session else MISSING
    row = Status(f"sub-{session.participant}", visit, "failed", MISSING, f"input: {reason}")
    write_status(settings.out_dir, row)


def _carry_out(settings: Settings, jobs: Mapping[str, Any], shared: Any) -> int:
    """Run all jobs; derivatives, status and reports are written on the way."""
    from spinalprep.app.facts import Reporter, write_citation
    from spinalprep.app.watch import Watcher
    from spinalprep.engine.events import Observers
    from spinalprep.engine.progress import progress_to
    from spinalprep.engine.run import Interrupted, RunOptions, run_sessions
    from spinalprep.reports.gates import load_gates

    run_name = f"{time.strftime('%Y%m%d-%H%M%S')}_{uuid.uuid4().hex[:8]}"
    reporter = Reporter(jobs, shared)
    watcher = Watcher(jobs, shared, load_gates(settings.qc_gates), run_name, reporter.write)
    reporter.watcher = watcher
    for key, job in jobs.items():
        if job.task is None:
            for stage, reason in job.problems:
                LOG.error("%s, %s: %s", key, stage, reason)
            watcher.close(key)
    options = RunOptions(
        n_procs=settings.nprocs,
        omp_nthreads=settings.threads,
        mem_gb=settings.mem_gb,
        retries=settings.retries,
        seed=settings.random_seed,
        worker=settings.worker,
        stop_on_first_crash=settings.stop_on_first_crash,
    )
    tasks = {key: job.task for key, job in jobs.items() if job.task is not None}
    observer = Observers(watcher, progress_to(sys.stderr))
    try:
        with _monitored(settings, run_name):
            run_sessions(tasks, _cache_of(settings, jobs), options, observer)
    except Interrupted as error:
        LOG.error("%s; the same command resumes", error)
        return error.exit_code
    write_citation(settings.out_dir, reporter.facts(list(jobs)))
    if any(watcher.state(key) != "finished" for key in jobs):
        return 1
    failing = any("FAIL" in p.gates.values() for p in watcher.progress.values())
    return 3 if settings.fail_on_qc and failing else 0


@contextlib.contextmanager
def _monitored(settings: Settings, run_name: str) -> Iterator[None]:
    """Record memory and CPUs of what is done inside, where that is asked for."""
    if not settings.resource_monitor:
        yield
        return
    from spinalprep.bids.atomic import put_text
    from spinalprep.bids.dataset import monitor_path
    from spinalprep.engine.monitor import ResourceMonitor

    monitor = ResourceMonitor()
    try:
        with monitor:
            yield
    finally:
        path = monitor_path(settings.out_dir, run_name)
        put_text(settings.out_dir, path, monitor.to_tsv())
        LOG.info("resources: %s", path)


def _say_end(settings: Settings, labels: list[str], seconds: float) -> None:
    """Say how it ended and where the reports are."""
    from spinalprep.bids.atomic import end_temporary
    from spinalprep.bids.dataset import report_path
    from spinalprep.bids.status import read_status

    end_temporary(settings.out_dir)
    rows = [row for row in read_status(settings.out_dir) if row.participant_id[4:] in labels]
    finished = sum(row.state == "finished" for row in rows)
    LOG.info("%d of %d sessions finished in %.0f s", finished, len(rows), seconds)
    for row in rows:
        if row.state != "finished":
            LOG.info("%s %s: %s", row.participant_id, row.state, row.reason)
    for label in labels[:20]:
        path = report_path(settings.out_dir, label)
        if path.is_file():
            LOG.info("report: %s", path)
    LOG.info("status: %s", settings.out_dir / "status.tsv")
