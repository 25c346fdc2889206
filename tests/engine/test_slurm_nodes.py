"""Tasks as jobs on several nodes, one of which dies in the middle."""

import subprocess

import pytest

pytestmark = pytest.mark.slow

ALL = {"Double": 9, "Negate": 3, "Read": 3}


def jobs(what: str, *words: str) -> list[str]:
    """Return what SLURM tells of its jobs, ended ones among them."""
    command = ["squeue", "-h", "-t", "all", "-o", what, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_tasks_are_spread_over_the_nodes(toy, slurm_cluster):
    before = set(jobs("%i"))
    told = toy.run(worker="slurm", env={"TOY_SLEEP_Read": "3"})
    assert (set(told["states"].values()), told["executed"]) == ({"finished"}, ALL)
    mine = set(jobs("%i")) - before
    assert set(jobs("%N", "-j", ",".join(mine))) == set(slurm_cluster.nodes)


@pytest.mark.long
def test_a_task_whose_node_dies_is_run_on_another(toy, slurm_cluster):
    toy.keep("sub-1")
    before = set(jobs("%i"))
    process = toy.start(worker="slurm", env={"TOY_SLEEP_Negate": "30"})
    toy.wait_until(lambda: "Negate" in toy.executed(), timeout=120)
    number, node = jobs("%i %N", "-n", "Negate", "-t", "RUNNING")[0].split()
    slurm_cluster.lose_node(node)
    try:
        assert process.wait(timeout=300) == 0
        told = toy.told()
        assert told["states"] == {"sub-1": "finished"}, told["reasons"]
        ended = dict(line.split() for line in jobs("%i %T") if line.split()[0] not in before)
        assert ended.pop(number) == "NODE_FAIL"
        assert set(ended.values()) <= {"COMPLETED", "NODE_FAIL"}  # others may have run there
        assert told["executed"]["Negate"] == 2
        assert slurm_cluster.state(node).startswith("down")
        assert node not in jobs("%N", "-n", "Negate", "-t", "COMPLETED")[-1:]
    finally:
        slurm_cluster.start_node(node)
    assert toy.run(worker="local")["executed"] == {}
