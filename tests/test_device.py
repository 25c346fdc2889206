"""Where networks run: chosen in one place, refused in one line, said in sidecars and cache keys."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import spinalprep as sp
from spinalprep import device
from spinalprep.app.graph_inputs import weight_files
from spinalprep.app.main import main
from spinalprep.device import CPU, LOCK, VARIABLE, Device, find_device
from spinalprep.engine.child import explain
from spinalprep.errors import UsageError
from spinalprep.networks import parallel
from spinalprep.networks.cards import card_path, packaged_weights
from spinalprep.networks.parallel import _turn, run_parts, run_whole
from spinalprep.tools.main import main as tools

GPU = Device("cuda", "A GPU")
HAS_GPU = torch.cuda.is_available()
without_gpu = pytest.mark.skipif(HAS_GPU, reason="torch sees a GPU here")


@without_gpu
@pytest.mark.parametrize("program", ["spinalprep", "spinalprep.tools"])
def test_a_gpu_that_is_not_there_is_refused_in_one_line(program: str, tmp_path: Path) -> None:
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "participant", "--device", "cuda"]
    start = [sys.executable, "-m", "spinalprep"]
    if program == "spinalprep.tools":
        start = [sys.executable, "-c", "import sys; from spinalprep.tools.main import main as m;"]
        start[-1] += " sys.exit(m())"
        words = ["segment", str(tmp_path / "image.nii.gz"), "--device", "cuda"]
    done = subprocess.run([*start, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("x --device cuda: torch sees no GPU here")
    assert not (tmp_path / "out").exists()


@without_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device("auto") == find_device("cpu") == CPU
    monkeypatch.setattr(device, "DRIVERS", ("/dev/null",))  # a driver, but no GPU
    device.gpu_name.cache_clear()
    assert device.gpu_name() == ""


def test_auto_takes_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "gpu_name", lambda: "A GPU")
    assert find_device("auto") == find_device("cuda") == GPU
    assert find_device("cpu") == CPU
    assert str(GPU) == "cuda (A GPU)"
    assert GPU.environment(tmp_path)[VARIABLE] == "cuda"
    assert Path(GPU.environment(tmp_path)[LOCK]).parent == tmp_path
    assert CPU.environment(tmp_path) == {VARIABLE: "cpu"}


def test_jobs_of_single_tasks_take_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["in", "out", "participant", "--worker", "slurm", "--device", "cuda"]) == 2
    assert "--gres gpu:1" in capsys.readouterr().err


def test_the_cache_knows_results_of_a_gpu_and_no_flag(tmp_path: Path) -> None:
    names = ("centerline", "cord", "gm", "lesion", "discs")
    paths = {name: packaged_weights(name) for name in names}
    usual, moved = weight_files(paths, CPU, tmp_path), weight_files(paths, GPU, tmp_path)
    for name, path in paths.items():
        assert getattr(usual, name).card.fspath == card_path(path)
        card = json.loads(getattr(moved, name).card.fspath.read_text())
        assert card == json.loads(card_path(path).read_text()) | {"device": "cuda (A GPU)"}
        assert getattr(moved, name).weights == getattr(usual, name).weights
    again = weight_files(paths, GPU, tmp_path)
    assert again == moved


@without_gpu
def test_a_task_that_finds_no_gpu_does_not_turn_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = torch.nn.Linear(2, 2), torch.ones(1, 2)
    usual = run_parts(network, [image], torch.sigmoid)
    assert torch.equal(usual[0], torch.sigmoid(run_whole(network, image)))
    monkeypatch.setenv(VARIABLE, "cuda")
    for run in (
        lambda: run_parts(network, [image], torch.sigmoid),
        lambda: run_whole(network, image),
    ):
        with pytest.raises(UsageError, match="in the process of a task"):
            run()
    without = torch.nn.Identity()  # as one of ONNX: it stays on the CPU
    assert torch.equal(run_whole(without, image), image)


def test_a_full_gpu_is_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that finds its GPU full; the GPU is pretended."""

    class Full(torch.nn.Linear):
        def to(self, *_: object) -> "Full":
            return self

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setenv(VARIABLE, "cuda")
    monkeypatch.delenv(LOCK, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, _: tensor)
    with pytest.raises(MemoryError) as full:
        run_whole(Full(2, 2), torch.ones(1, 2))
    assert explain(full.value).reason.startswith("memory: not enough memory (of the GPU; free it")


def test_a_gpu_computes_in_half_precision_unless_that_overflows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(LOCK, raising=False)
    monkeypatch.setattr(parallel, "GPU", "cpu")  # pretended
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    third, large = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    third.weight.data.fill_(1 / 3)
    large.weight.data.fill_(300.0)
    one, image = torch.ones(1, 1), torch.full((1, 1), 300.0)
    usual = run_whole(third, one)
    monkeypatch.setenv(VARIABLE, "cuda")
    moved = run_whole(third, one)
    assert moved.dtype == torch.float32
    assert 0 < abs(moved - usual).item() < 2**-11
    assert run_whole(large, image).item() == 90_000  # float16 ends at 65,504


def test_tasks_of_a_work_folder_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(LOCK, GPU.environment(tmp_path)[LOCK])
    there, most = [], []

    def work() -> None:
        with _turn():
            there.append(1)
            most.append(len(there))
            time.sleep(0.02)
            there.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_a_cohort_asks_for_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw" / "sub-01").mkdir(parents=True)
    image = tmp_path / "s.sif"
    image.touch()
    words = [str(tmp_path / "raw"), str(tmp_path / "out"), "participant", "--device", "cuda"]
    assert tools(["slurm", "--gres", "gpu:1", "--image", str(image), *words]) == 0
    text = capsys.readouterr().out
    assert text.count("#SBATCH --gres=gpu:1\n") == 1
    assert text.count("apptainer run --nv ") == 1
    person, group = (line for line in text.splitlines() if line.startswith("exec "))
    assert "--device=cuda" in person
    assert "--device" not in group
    assert tools(["slurm", *words[:3]]) == 0
    assert "gres" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_way_over_a_gpu_gives_what_the_cpu_gives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = sp.example()
    ours = sp.segment(image, views=1, lesions=False)
    monkeypatch.setattr(parallel, "GPU", "cpu")  # the same steps, on the only device there is
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name, value in GPU.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    theirs = sp.segment(image, views=1, lesions=False)
    assert list(tmp_path.glob("gpu-*.lock"))
    assert np.abs(ours.probability.data - theirs.probability.data).max() < 5e-3
    assert ((ours.cord.data > 0) != (theirs.cord.data > 0)).sum() <= 2
    levels = sp.label_levels(image, theirs, template="Generic")
    assert levels.known


@pytest.mark.slow
@pytest.mark.skipif(not HAS_GPU, reason="torch sees no GPU: parity of CPU and GPU is not tested")
def test_cpu_and_gpu_find_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = sp.example()
    found = []
    for where in (CPU, find_device("cuda")):
        for name, value in where.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        found.append(sp.segment(image))
    ours, theirs = found
    assert np.abs(ours.probability.data - theirs.probability.data).max() < 5e-3
    differ = (ours.cord.data > 0) != (theirs.cord.data > 0)
    assert differ.sum() <= 1e-3 * (ours.cord.data > 0).sum()
    assert torch.cuda.memory_allocated() == 0
