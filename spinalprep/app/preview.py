"""What can be had of a run without computing: its plan, graphs and methods."""

from spinalprep.app.jobs import Plan
from spinalprep.app.log import LOG
from spinalprep.app.outcome import Outcome
from spinalprep.app.report import report_facts, write_citation
from spinalprep.bids.atomic import put_text
from spinalprep.bids.places import citation_paths, log_folder
from spinalprep.engine.graph import stages_of
from spinalprep.engine.plan import plan_sessions
from spinalprep.errors import UsageError
from spinalprep.reports.methods import citation
from spinalprep.streams import say


def print_plan(plan: Plan) -> int:
    """Print every node, hit or miss, and why, and what can't be used; return the exit code.

    The code is 1 where the run itself would end with 1 for its input (``--dry-run``).
    """
    lines = plan_sessions(plan.tasks, plan.cache)
    for line in lines:
        say(str(line))
    problems = [(key, problem) for key, job in plan.jobs.items() for problem in job.problems]
    for key, problem in problems:
        say(f"{key}  {problem.stage}  unusable: {problem.reason}")
    for session, reason in plan.unusable:
        say(f"{session.name}  unusable: {reason}")
    hits = sum(line.hit for line in lines)
    say(f"{len(lines)} nodes: {hits} in the cache, {len(lines) - hits} to compute")
    return 1 if problems or plan.unusable else 0


def write_methods(plan: Plan) -> None:
    """Write the methods text of what would be run (``--boilerplate-only``).

    Where a run has left its own, that is kept and the text goes to the standard output.
    """
    outcomes = [Outcome(job) for job in plan.jobs.values()]
    kept = citation_paths(plan.shared.settings.out_dir)[0]
    if kept.is_file():
        say(citation(report_facts(plan.shared, outcomes))[0].rstrip("\n"))
        LOG.info("%s describes the last run and is kept", kept)
        return
    LOG.info("methods: %s", write_citation(plan.shared, outcomes))


def refuse_work(plan: Plan) -> None:
    """Refuse ``--reports-only`` where something would have to be computed.

    Raises
    ------
    UsageError
        If a result is not in the cache.
    """
    missed = [line for line in plan_sessions(plan.tasks, plan.cache) if not line.hit]
    if missed:
        raise UsageError(
            f"--reports-only: {len(missed)} results are missing (the first: {missed[0]}); run "
            "without it first"
        )


def write_graphs(plan: Plan) -> None:
    """Write the stages of every job, and who feeds whom, as a dot file beside its log."""
    out_dir = plan.shared.settings.out_dir
    for key, task in plan.tasks.items():
        lines = [f'digraph "{key}" {{']
        for stage in stages_of(task):
            lines.append(f'  "{stage.name}";')
            lines += [
                f'  "{upstream}" -> "{stage.name}";'
                for upstream in sorted(stage.upstream | stage.spared)
            ]
        path = log_folder(out_dir, plan.jobs[key].session.participant) / f"{key}_graph.dot"
        put_text(out_dir, path, "\n".join([*lines, "}"]) + "\n")
