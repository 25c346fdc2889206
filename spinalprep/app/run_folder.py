"""What a run leaves in ``sub-*/log`` and ``logs``: settings, resources, crashes."""

import contextlib
import platform
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spinalprep import __version__
from spinalprep.app.config import settings_toml
from spinalprep.app.log import LOG
from spinalprep.app.outcome import Outcome
from spinalprep.bids.atomic import put_text
from spinalprep.bids.places import group_settings_path, log_folder, monitor_path
from spinalprep.engine.events import Failure
from spinalprep.engine.monitor import ResourceMonitor
from spinalprep.settings import Settings


def _new_name() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, one below every participant's log."""

    settings: Settings
    name: str = field(default_factory=_new_name)

    def write_crash(
        self, key: str, participant: str, stage: str, node: str, failure: Failure
    ) -> str:
        """Write why a stage of a session run failed; return the file below the output folder."""
        lines = [
            f"spinalprep {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"unit: {key}\nstage: {stage}\ntask: {node}\n{failure.reason}",
            f"\ninputs:\n{failure.inputs}",
            f"\ntraceback:\n{failure.traceback}",
            f"\nend of its output:\n{failure.output}",
            f"\nto repeat: {' '.join(sys.argv)} --participant-label {participant} --worker debug",
        ]
        path = self._write(participant, f"crash-{key}_{stage}.txt", "\n".join(lines) + "\n")
        return path.relative_to(self.settings.out_dir).as_posix()

    def write_log(self, participant: str, outcomes: Sequence[Outcome]) -> None:
        """Write settings and resources of a run that computed or failed something."""
        if not any(outcome.tasks or outcome.failures for outcome in outcomes):
            return
        self._write(participant, "spinalprep.toml", settings_toml(self.settings))
        rows = ["unit\tstage\ttask\twall_s\tpeak_mib\tcpu_s\tread_bytes\twritten_bytes"]
        for outcome in outcomes:
            rows += [
                f"{outcome.job.files.key}\t{t.stage}\t{t.task}\t{t.wall_s:.2f}\t{t.peak_mib:.0f}"
                f"\t{t.usage.cpu_s:.2f}\t{t.usage.read_bytes}\t{t.usage.written_bytes}"
                for t in outcome.tasks
            ]
        self._write(participant, "resources.tsv", "\n".join(rows) + "\n")

    def write_group_settings(self) -> Path:
        """Write the settings of a run of the group level, which is nobody's alone."""
        path = group_settings_path(self.settings.out_dir, self.name)
        put_text(self.settings.out_dir, path, settings_toml(self.settings))
        return path

    @contextlib.contextmanager
    def monitor(self) -> Iterator[None]:
        """Record memory and CPUs of what is done inside, where that is asked for."""
        if not self.settings.resource_monitor:
            yield
            return
        monitor = ResourceMonitor()
        try:
            with monitor:
                yield
        finally:
            path = monitor_path(self.settings.out_dir, self.name)
            put_text(self.settings.out_dir, path, monitor.to_tsv())
            LOG.info("resources: %s", path)

    def _write(self, participant: str, name: str, text: str) -> Path:
        out_dir = self.settings.out_dir
        path = log_folder(out_dir, participant) / self.name / name
        put_text(out_dir, path, text)
        return path
