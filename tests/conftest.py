"""Says which tests of the fast lane are none; nothing fails for its time. A cluster of one node."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldLogFile={home}/ctld.log
SlurmdLogFile={home}/d.log
SlurmctldPidFile={home}/ctld.pid
SlurmdPidFile={home}/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
CommunicationParameters=NoInAddrAny
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start_node(home: Path) -> Path:
    """Start munged, slurmctld and slurmd on loopback, all their state in a folder."""
    for name in ("state", "spool"):
        (home / name).mkdir()
    (home / "munge.key").write_bytes(os.urandom(128))
    (home / "munge.key").chmod(0o600)
    files = [f"--{f}-file={home}/munge.{f}" for f in ("key", "log", "pid", "seed")]
    munged = ["munged", "--force", f"--socket={home}/munge.socket", *files]
    conf = home / "slurm.conf"
    told = {"home": home, "host": socket.gethostname(), "user": getpass.getuser()}
    conf.write_text(SLURM_CONF.format(ports=_free_ports(2), **told))
    for words in (munged, ["slurmctld", "-f", str(conf)], ["slurmd", "-f", str(conf)]):
        subprocess.run(words, check=True, capture_output=True, timeout=20)
    end = time.monotonic() + 20
    look = ["sinfo", "-h", "-o", "%T"]
    while "idle" not in subprocess.run(look, capture_output=True, text=True, check=False).stdout:
        if time.monotonic() > end:
            pytest.skip(f"the SLURM node did not come up; see {home}/ctld.log")
        time.sleep(0.2)
    return conf


@pytest.fixture(scope="session")
def slurm_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a cluster of one node, to be found by SLURM's commands; stop it in the end."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    absent = [c for c in ("slurmctld", "slurmd", "munged") if not shutil.which(c, path=path)]
    if absent:
        pytest.skip(f"no {absent[0]} here (Debian: apt-get install slurm-wlm munge)")
    home = tmp_path_factory.mktemp("slurm")
    home.chmod(0o755)
    kept = dict(os.environ)
    os.environ.update(PATH=path, SLURM_CONF=str(home / "slurm.conf"))
    try:
        yield _start_node(home)
    finally:
        subprocess.run(["scancel", "-u", getpass.getuser()], check=False, capture_output=True)
        for name in ("d.pid", "ctld.pid", "munge.pid"):
            if (home / name).exists():
                os.kill(int((home / name).read_text()), signal.SIGTERM)
        os.environ.clear()
        os.environ.update(kept)
