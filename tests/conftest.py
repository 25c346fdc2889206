"""Says which tests of the fast lane are none; nothing fails for its time. Three SLURM nodes."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

LIMIT_S = 5.0


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests without the mark ``slow`` that took long, fixtures and all."""
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and "slow" not in report.keywords:
                spent[report.nodeid] += report.duration
    long = [(name, seconds) for name, seconds in spent.most_common() if seconds > LIMIT_S]
    if long:
        terminalreporter.section(f"over {LIMIT_S:g} s without the mark slow")
    for name, seconds in long:
        terminalreporter.write_line(f"{seconds:5.0f} s  {name}")


SLURM_CONF = """
ClusterName=three
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldLogFile={home}/ctld.log
SlurmdLogFile={home}/%n.log
SlurmctldPidFile={home}/ctld.pid
SlurmdPidFile={home}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
ReturnToService=2
SlurmdTimeout=20
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
CommunicationParameters=NoInAddrAny
NodeName=DEFAULT CPUs=4 RealMemory=9000 State=UNKNOWN
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
NodeName=n3 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A SLURM of three nodes on loopback, all of its state in one folder."""

    home: Path
    nodes = ("n1", "n2", "n3")

    @property
    def conf(self) -> Path:
        return self.home / "slurm.conf"

    def start(self) -> None:
        """Start munged, slurmctld and the slurmd of every node."""
        (self.home / "state").mkdir()
        (self.home / "munge.key").write_bytes(os.urandom(128))
        (self.home / "munge.key").chmod(0o600)
        files = [f"--{f}-file={self.home}/munge.{f}" for f in ("key", "log", "pid", "seed")]
        told = {"home": self.home, "host": socket.gethostname(), "user": getpass.getuser()}
        self.conf.write_text(SLURM_CONF.format(ports=_free_ports(4), **told))
        munged = ["munged", "--force", f"--socket={self.home}/munge.socket", *files]
        for words in (munged, ["slurmctld", "-f", str(self.conf)]):
            subprocess.run(words, check=True, capture_output=True, timeout=20)
        for node in self.nodes:
            self.start_node(node)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node, and wait until jobs may go there."""
        words = ["slurmd", "-f", str(self.conf), "-N", node]
        subprocess.run(words, check=True, capture_output=True, timeout=20)
        end = time.monotonic() + 40
        while self.state(node) not in ("idle", "mixed"):
            if time.monotonic() > end:
                pytest.skip(f"node {node} of the SLURM did not come up; see {self.home}")
            time.sleep(0.2)

    def state(self, node: str) -> str:
        """Return the state of a node, as SLURM tells it."""
        look = ["sinfo", "-h", "-n", node, "-o", "%T"]
        return subprocess.run(look, capture_output=True, text=True, check=False).stdout.strip()

    def lose_node(self, node: str) -> None:
        """Let a node die: its slurmd, and all of its jobs, with ``kill -9``."""
        os.kill(int((self.home / f"{node}.pid").read_text()), signal.SIGKILL)
        jobs = list(self._jobs(node))
        steps = {job.parent() for job in jobs}
        steps = {step for step in steps if step is not None and "slurmstepd" in step.name()}
        for process in (*steps, *jobs):  # the steps first: they would tell of the end
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _jobs(self, node: str) -> Iterator[psutil.Process]:
        """Yield the processes of the jobs on a node, by their environment."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = process.environ()
                mine = told.get("SLURM_CONF") == str(self.conf)
                if mine and told.get("SLURMD_NODENAME") == node:
                    yield process

    def stop(self) -> None:
        """End every job and every daemon."""
        subprocess.run(["scancel", "-u", getpass.getuser()], check=False, capture_output=True)
        for name in (*self.nodes, "ctld", "munge"):
            with contextlib.suppress(OSError):
                os.kill(int((self.home / f"{name}.pid").read_text()), signal.SIGTERM)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a cluster of three nodes, to be found by SLURM's commands; stop it in the end."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    absent = [c for c in ("slurmctld", "slurmd", "munged") if not shutil.which(c, path=path)]
    if absent:
        pytest.skip(f"no {absent[0]} here (Debian: apt-get install slurm-wlm munge)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    cluster.home.chmod(0o755)
    kept = dict(os.environ)
    os.environ.update(PATH=path, SLURM_CONF=str(cluster.conf))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        os.environ.clear()
        os.environ.update(kept)
