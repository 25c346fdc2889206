"""From outcomes to the report of a participant, and to the text of the methods."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinalprep import __version__, stages
from spinalprep.app.config import changed_settings
from spinalprep.app.jobs import Shared
from spinalprep.app.log import LOG
from spinalprep.app.outcome import Outcome
from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.names import frame_name
from spinalprep.bids.places import citation_paths, report_path, viewer_path
from spinalprep.defaults import JOINED_BY
from spinalprep.derivatives.comparable import why_uncalibrated
from spinalprep.derivatives.quality import known_levels
from spinalprep.normative.table import EVERYBODY, Subject, load_norms
from spinalprep.reports.facts import (
    CoregFacts,
    LabelFacts,
    ModelFacts,
    ReportFacts,
    SessionRunFacts,
    package_versions,
)
from spinalprep.reports.methods import citation


def write_report(shared: Shared, label: str, outcomes: Sequence[Outcome]) -> None:
    """Write the report of a participant, unless nothing has changed since the last one."""
    settings = shared.settings
    viewer = viewer_path(settings.out_dir, label)
    there = report_path(settings.out_dir, label).is_file() and not settings.reports_only
    same = viewer.is_file() == settings.viewer
    if there and same and not any(o.changed or o.tasks or o.failures for o in outcomes):
        return
    from spinalprep.reports.participant import write_participant_report
    from spinalprep.reports.viewer import write_viewer

    try:
        facts = report_facts(shared, outcomes)
        if settings.viewer:
            write_viewer(settings.out_dir, label, facts)
        else:
            viewer.unlink(missing_ok=True)
        write_participant_report(settings.out_dir, label, facts)
    except Exception:  # a report that fails must not take the derivatives along
        LOG.exception(
            "sub-%s: the report could not be written (internal error, please report it)", label
        )


def write_citation(shared: Shared, outcomes: Sequence[Outcome]) -> Path:
    """Write ``logs/CITATION.md`` and ``.bib``, the methods as they were run; return the first."""
    out_dir = shared.settings.out_dir
    paths = citation_paths(out_dir)
    for path, content in zip(paths, citation(report_facts(shared, outcomes)), strict=True):
        put_text(out_dir, path, content)
    return paths[0]


def report_facts(shared: Shared, outcomes: Sequence[Outcome]) -> ReportFacts:
    """Gather what happened in some session runs."""
    settings, template = shared.settings, shared.template
    ends = [outcome.end for outcome in outcomes if outcome.end is not None]
    warnings = [w for o in outcomes for w in (*o.job.session.warnings, *o.results.warnings)]
    return ReportFacts(
        runs=tuple(_session_facts(shared, outcome) for outcome in outcomes),
        command=shlex.join(["spinalprep", *sys.argv[1:]]),
        version=__version__,
        bids_dir=settings.bids_dir,
        template_name=template.name if template is not None else "",
        template_release=template.version if template is not None else "",
        models=tuple(
            ModelFacts(
                str(card.get("name", "n/a")),
                str(card.get("version", "")),
                card["sha256"],
                preset=str(card.get("preset", "")),
            )
            for card in shared.cards.values()
        ),
        warnings=tuple(dict.fromkeys(warnings)),  # two runs of a session say the same
        failures=tuple(failure for outcome in outcomes for failure in outcome.failures),
        settings=changed_settings(settings)
        | {"random-seed": settings.random_seed, "skip": ", ".join(settings.skip)},
        wall_s=_seconds(outcomes),
        packages=package_versions(),
        labels_dir=settings.derivatives.get("labels"),
        finished_at=time.strftime("%Y-%m-%d %H:%M"),
        peak_mib=max((end.peak_mib for end in ends), default=None),
        cache_hits=sum(end.cache_hits for end in ends),
    )


def _session_facts(shared: Shared, outcome: Outcome) -> SessionRunFacts:
    """Gather what happened to one reference image."""
    session, files = outcome.job.session, outcome.job.files
    who = age_and_sex(shared.settings.bids_dir, session.participant)
    levels, lesions = known_levels(outcome.results), outcome.results.get(stages.LESION)
    uncalibrated = why_uncalibrated(files, shared.settings, shared.cards)
    known = levels.source != "unknown" and load_norms().whose(Subject(*who)) != EVERYBODY
    return SessionRunFacts(
        reference=files.reference.relative,
        contrasts=tuple(_coreg_facts(outcome, name) for name in files.contrasts),
        labels=tuple(LabelFacts(str(x.path), x.role, x.used, x.reason) for x in files.labels.found),
        level_source=levels.source,
        level_probability=levels.confidence,
        metrics=tuple(files.maps) + (("MTR",) if files.mt_pair is not None else ()),
        mt_ratio=files.mt_pair is not None,
        lesions_sought=shared.settings.seeks_lesions(files.reference.contrast),
        lesions_joined=tuple(lesions.searched) if lesions is not None else (),
        lesion_fusion=JOINED_BY.get(shared.settings.lesion_fusion, "reference"),
        scored=known and not uncalibrated,
        uncalibrated=uncalibrated,
        **_tumor_facts(shared, outcome),
        **_lumbar_facts(shared, outcome),
    )


def _tumor_facts(shared: Shared, outcome: Outcome) -> dict[str, Any]:
    """Gather whether a tumor was looked for, and in which images."""
    files, found = outcome.job.files, outcome.results.get(stages.TUMOR)
    images = dict(zip(("T2w", "Gd-T1w"), files.tumor_contrasts, strict=True))
    there = {c: files.scans[name].relative for c, name in images.items() if name is not None}
    lost = tuple(c for c in there if found is not None and c not in found.seen)
    return {
        "tumor_sought": shared.settings.pathology == "tumor",
        "tumor_t2w": there.get("T2w"),
        "tumor_gd_t1w": there.get("Gd-T1w"),
        "tumor_lost": lost,
    }


def _lumbar_facts(shared: Shared, outcome: Outcome) -> dict[str, Any]:
    """Gather whether lumbar structures were looked for, in which images, and why there are none."""
    files, found = outcome.job.files, outcome.results.get(stages.LUMBAR)
    t2w, t1w = (n if n is None else files.scans[n].relative for n in files.lumbar_contrasts)
    refused = "; ".join(found.warnings) if found is not None and found.structures is None else ""
    return {
        "lumbar_sought": shared.settings.lumbar,
        "lumbar_t2w": t2w,
        "lumbar_t1w": t1w,
        "lumbar_alignment": found.alignment if found is not None else None,
        "lumbar_refused": refused,
    }


def _coreg_facts(outcome: Outcome, name: str) -> CoregFacts:
    """Gather how another contrast came to the reference."""
    files, found = outcome.job.files, outcome.results.get(stages.COREGISTER, name)
    scan = files.contrasts[name]
    return CoregFacts(
        scan.contrast,
        found is not None and found.measures.accepted,
        found.measures.gain if found is not None else None,
        scan.relative,
        frame_name(scan, files.reference),
        found is not None and found.measures.headers_hold,
    )


def _seconds(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the seconds of computing by stage."""
    total: dict[str, float] = {}
    for outcome in outcomes:
        for task in outcome.tasks:
            total[task.stage] = total.get(task.stage, 0.0) + task.wall_s
    return total
