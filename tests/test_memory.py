"""What limits a process: trees of control groups as each version draws them, and SLURM's words."""

from pathlib import Path

import pytest

from spinalprep.memory import count_cpus, free_gb, most_gb, oom_kills, usage

GB = 10**9


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE", "CPUS_PER_TASK"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)


def tree(root: Path, files: dict[str, str]) -> Path:
    """Write a machine of 64 GB with 32 GB free, and files of its control groups."""
    info = f"MemTotal: {64 * GB // 1024} kB\nMemAvailable: {32 * GB // 1024} kB\n"
    for name, text in {"proc/meminfo": info, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_without_limits_it_is_the_machine(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"})
    assert free_gb(0.5, root) == pytest.approx(16, rel=1e-6)
    assert most_gb(root) == pytest.approx(64, rel=1e-6)


def test_the_second_version_counts_every_level_above(tmp_path: Path) -> None:
    job, step = "sys/fs/cgroup/slurm/job_7", "sys/fs/cgroup/slurm/job_7/step_0"
    files = {
        "proc/self/cgroup": "0::/slurm/job_7/step_0",
        f"{job}/memory.max": str(8 * GB),
        f"{job}/memory.current": str(3 * GB),
        f"{job}/memory.stat": f"anon 1\ninactive_file {GB}",
        f"{step}/memory.max": "max",
        f"{job}/cpu.max": "max 100000",
        f"{step}/cpu.max": "100000 100000",
        f"{job}/memory.events": "low 0\noom 4\noom_kill 3",
    }
    root = tree(tmp_path, files)
    assert most_gb(root) == 8
    assert free_gb(1.0, root) == 6  # of 8, 3 are used, of which 1 is of files
    assert count_cpus(root) == 1
    assert oom_kills(root) == 3


def test_the_first_version(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/docker/abc"
    files = {
        "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/",
        f"{group}/memory.limit_in_bytes": str(4 * GB),
        f"{group}/memory.usage_in_bytes": str(GB),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        f"{group}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    }
    root = tree(tmp_path, files)
    assert (most_gb(root), free_gb(1.0, root)) == (4, 3)
    assert count_cpus(root) == 1  # one and a half are one whole
    assert oom_kills(root) == 2


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    """The path that the kernel tells is the host's; what is mounted is the group itself."""
    files = {"proc/self/cgroup": "0::/../../a/b", "sys/fs/cgroup/memory.max": str(2 * GB)}
    assert most_gb(tree(tmp_path, files)) == 2


def test_slurm_says_what_a_job_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, {})
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2000")
    assert most_gb(root) == pytest.approx(2000 * 1024**2 / 1e9)
    assert free_gb(1.0, root) == pytest.approx(2000 * 1024**2 / 1e9)
    monkeypatch.delenv("SLURM_MEM_PER_NODE")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1000")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert most_gb(root) == pytest.approx(3000 * 1024**2 / 1e9)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert count_cpus(root) == 1


def test_a_system_that_tells_nothing_has_little(tmp_path: Path) -> None:
    assert free_gb(1.0, tmp_path) == 4.0
    assert most_gb(tmp_path) == float("inf")
    assert oom_kills(tmp_path) == 0


def test_what_a_process_takes_is_counted(tmp_path: Path) -> None:
    before = usage()
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    path.read_bytes()
    sum(range(3_000_000))
    taken = usage() - before
    assert 3_000_000 <= taken.written_bytes < 4_000_000
    assert 3_000_000 <= taken.read_bytes < 4_000_000
    assert taken.cpu_s >= 0.01
