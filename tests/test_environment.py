"""Libraries are held to threads and seed by one set of variables."""

import json
import os
import subprocess
import sys

import pytest

from spinalprep.app.main import set_environment
from spinalprep.app.parser import parse
from spinalprep.engine.pool import child_environment
from spinalprep.engine.worker import PoolOptions
from spinalprep.environment import run_environment

ASKED = {"OMP_NUM_THREADS": "3", "ANTS_RANDOM_SEED": "5", "SPINALPREP_MEM_GB": "7.5"}


def test_main_process_and_children_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    more = ["--nprocs=4", "--omp-nthreads=3", "--random-seed=5", "--mem=7.5"]
    set_environment(parse(["in", "out", "participant", "--device=cpu", *more]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MPL")}
    assert kept == run_environment(3, 5, 7.5) | {"SPINALPREP_DEVICE": "cpu"}
    assert kept == child_environment(PoolOptions(4, omp_nthreads=3, mem_gb=7.5, seed=5))
    assert ASKED.items() <= kept.items()
    assert kept["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"


def test_a_seed_of_zero_is_not_the_clock() -> None:
    assert run_environment(1, 0, 1.0)["ANTS_RANDOM_SEED"] == "1"


LOADED = """
import json, os
import numpy, scipy.linalg, sklearn, torch, ants
from threadpoolctl import threadpool_info
numpy.linalg.svd(numpy.ones((300, 300)))
found = threadpool_info()
pools = {pool["user_api"] + " " + pool["filepath"]: pool["num_threads"] for pool in found}
itk = int(os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"])
print(json.dumps({"pools": pools, "torch": torch.get_num_threads(), "itk": itk}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])  # more than there are cores is no test
def test_one_setting_governs_every_library(threads: int) -> None:
    env = os.environ | child_environment(PoolOptions(4, omp_nthreads=threads))
    words = [sys.executable, "-c", LOADED]
    run = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    told = json.loads(run.stdout)
    assert told["torch"] == threads
    assert told["itk"] == 1
    kinds = {name.split()[0] for name in told["pools"]}
    assert {"blas", "openmp"} <= kinds
    cpus = len(os.sched_getaffinity(0))  # OpenBLAS itself takes no more than there are
    assert set(told["pools"].values()) <= {threads, min(threads, cpus)}


@pytest.mark.slow
def test_ants_alone_repeats_and_what_is_set_stays() -> None:
    code = (
        "import os, spinalprep.registration.ants_arrays as _;"
        "print(os.environ['ANTS_RANDOM_SEED'], os.environ['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'])"
    )
    names = ("ANTS_RANDOM_SEED", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    bare = {key: value for key, value in os.environ.items() if key not in names}
    for more, said in (({}, "1 1"), ({"ANTS_RANDOM_SEED": "9"}, "9 1")):
        words, env = [sys.executable, "-c", code], bare | more
        run = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        assert run.stdout.split() == said.split()
