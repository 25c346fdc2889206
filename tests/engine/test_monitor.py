"""What a run takes is seen, that of its children too."""

import subprocess
import sys
import time
from itertools import pairwise

from spinalprep.engine.monitor import ResourceMonitor

BUSY = (
    "import time; kept = bytearray(b'x') * 150_000_000\n"
    "while time.process_time() < 1.5: sum(range(10000))"
)


def test_memory_and_processors_of_a_child_are_seen() -> None:
    with ResourceMonitor(every_s=0.1) as monitor:
        alone = time.monotonic()
        time.sleep(0.35)
        alone = time.monotonic() - alone
        subprocess.run([sys.executable, "-c", BUSY], check=True)
    before = [sample for sample in monitor.samples if sample.time_s < alone]
    assert len(before) >= 2
    assert max(sample.rss_mib for sample in monitor.samples) > before[0].rss_mib + 140
    assert max(s.processes for s in monitor.samples) >= before[0].processes + 1
    worked = sum(b.cpus * (b.time_s - a.time_s) for a, b in pairwise(monitor.samples))
    assert 1.0 < worked < 3.0


def test_the_table_has_a_row_for_every_sample() -> None:
    with ResourceMonitor(every_s=10.0) as monitor:
        pass
    rows = [line.split("\t") for line in monitor.to_tsv().splitlines()]
    assert rows[0] == ["time_s", "processes", "cpus", "rss_mib"]
    assert len(rows) == 2
    assert float(rows[1][3]) > 1
