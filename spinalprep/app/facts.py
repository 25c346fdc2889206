"""What the report is told about a participant."""

import shlex
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from spinalprep import __version__
from spinalprep.app.jobs import Job, Shared
from spinalprep.app.log import LOG
from spinalprep.app.quality import known_levels
from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import age_and_sex, citation_paths, report_path
from spinalprep.bids.names import frame_name, output_prefix
from spinalprep.normative.table import EVERYBODY, Subject, load_norms
from spinalprep.reports.facts import (
    CoregFacts,
    FailureFacts,
    LabelFacts,
    ModelFacts,
    ReportFacts,
    UnitFacts,
)
from spinalprep.reports.methods import citation

if TYPE_CHECKING:
    from spinalprep.app.watch import Watcher


class Reporter:
    """Writes a participant's report once all of its jobs have ended."""

    def __init__(self, jobs: Mapping[str, Job], shared: Shared) -> None:
        self.jobs, self.shared = jobs, shared
        self.watcher: Watcher | None = None

    def write(self, label: str) -> None:
        """Write the report of a participant, unless nothing has changed since the last one."""
        assert self.watcher is not None
        own = [key for key, job in self.jobs.items() if job.session.participant == label]
        progress = [self.watcher.progress[key] for key in own]
        settings = self.shared.settings
        there = report_path(settings.out_dir, label).is_file() and not settings.reports_only
        if there and not any(p.changed or p.tasks or p.failures for p in progress):
            return
        from spinalprep.reports.participant import write_participant_report

        try:
            write_participant_report(settings.out_dir, label, self.facts(own))
        except Exception:  # a report that fails must not take the derivatives along
            LOG.exception("sub-%s: the report could not be written; this is our defect", label)

    def facts(self, own: list[str]) -> ReportFacts:
        """Gather what happened to one participant."""
        assert self.watcher is not None
        settings, template = self.shared.settings, self.shared.template
        progress = [self.watcher.progress[key] for key in own]
        results = [p.result for p in progress if p.result is not None]
        seconds: dict[str, float] = {}
        for p in progress:
            for stage, value in p.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + value
        return ReportFacts(
            units=tuple(self._unit(key) for key in own),
            command=shlex.join(["spinalprep", *sys.argv[1:]]),
            version=__version__,
            bids_dir=settings.bids_dir,
            template_name=template.name if template is not None else "",
            template_release=template.version if template is not None else "",
            models=tuple(
                ModelFacts(card["name"], str(card.get("version", "")), card["sha256"])
                for card in self.shared.cards.values()
            ),
            warnings=tuple(
                dict.fromkeys(  # two runs of a session say the same
                    w
                    for key, p in zip(own, progress, strict=True)
                    for w in (*self.jobs[key].session.warnings, *_warnings(p.outputs))
                )
            ),
            failures=tuple(FailureFacts(*failure) for p in progress for failure in p.failures),
            settings={"seed": settings.random_seed, "skip": ", ".join(settings.skip)},
            wall_s=seconds,
            packages=package_versions(),
            labels_dir=settings.derivatives.get("labels"),
            finished_at=time.strftime("%Y-%m-%d %H:%M"),
            peak_mib=max((r.peak_mib for r in results), default=None),
            cache_hits=sum(r.cache_hits for r in results),
        )

    def _unit(self, key: str) -> UnitFacts:
        """Gather what happened to one reference image."""
        assert self.watcher is not None
        job, outputs = self.jobs[key], self.watcher.progress[key].outputs
        coreg = []
        for name, scan in job.others.items():
            found = outputs.get(f"coregister_{name}")
            measures = found.measures if found is not None else {}
            coreg.append(
                CoregFacts(
                    scan.contrast,
                    bool(measures.get("accepted", False)),
                    measures.get("gain"),
                    scan.relative,
                    frame_name(scan, job.reference),
                    bool(measures.get("headers_hold", False)),
                )
            )
        reference = job.reference
        who = age_and_sex(self.shared.settings.bids_dir, job.session.participant)
        levels = known_levels(outputs)
        pulse = {"flip": "1", "mt": "off"} | dict(reference.entities)
        extra = f"flip-{pulse['flip']}_mt-{pulse['mt']}" if reference.contrast == "MTS" else ""
        return UnitFacts(
            participant=job.session.participant,
            session=job.session.session or "",
            reference=reference.relative,
            prefix=output_prefix(reference),
            space=reference.contrast,
            contrasts=tuple(coreg),
            labels=tuple(
                LabelFacts(str(x.path), x.role, x.used, x.reason) for x in job.labels.found
            ),
            entities=extra,
            level_source=levels.source,
            level_probability=levels.confidence,
            metrics=tuple(job.maps) + (("MTR",) if job.mt_pair is not None else ()),
            mt_ratio=job.mt_pair is not None,
            scored=levels.source != "unknown" and load_norms().whose(Subject(*who)) != EVERYBODY,
        )


def write_citation(out_dir: Path, facts: ReportFacts) -> None:
    """Write ``logs/CITATION.md`` and ``.bib``: the methods as they were run."""
    text, bibliography = citation(facts)
    for path, content in zip(citation_paths(out_dir), (text, bibliography), strict=True):
        put_text(out_dir, path, content)


def _warnings(outputs: Mapping[str, object]) -> list[str]:
    return [w for found in outputs.values() for w in getattr(found, "warnings", None) or ()]


def package_versions() -> dict[str, str]:
    """Return the versions of what computes."""
    names = ("antspyx", "nibabel", "numpy", "scipy", "scikit-image", "torch", "pydra")
    return {name: version(name) for name in names}
