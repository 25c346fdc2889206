"""The table of the lumbar paper: its rows, its figures, and how it is taken up again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from spinalprep.errors import UsageError
from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.networks.topology import TOPOLOGIES
from spinalprep.phantom.lumbar_tissues import NUMBER
from spinalprep.tools.main import main
from spinalprep.training.evaluation.structures import count_pairs, overlap_percent
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.material.lumbar import LumbarSlices
from spinalprep.training.protocol import lumbar_run
from spinalprep.training.protocol.lumbar_rows import LUMBAR_BY_NAME, LUMBAR_ROWS
from spinalprep.training.protocol.lumbar_run import (
    LumbarStudy,
    LumbarTurn,
    run_ensemble,
    run_lumbar_turn,
)
from spinalprep.training.protocol.lumbar_table import (
    WITHOUT,
    RowCounts,
    figures_of,
    make_lumbar_table,
    read_counts,
)
from spinalprep.training.protocol.run import keep_protocol
from spinalprep.training.synthesis.lumbar import draw_lumbar_batch

CLASSES = len(STRUCTURES)
SMALL = LumbarStudy(people=4, slices=1, tested=1, size=32, batch=2, steps=2, divisor=16, folds=2)
WORDS = (
    "--people 4 --slices 1 --tested 1 --size 32 --batch 2 --steps 2 --divisor 16 --folds 2 "
    "--threads 1"
)


def test_published_means_are_those_of_the_published_structures() -> None:
    for row in LUMBAR_ROWS:
        assert len(row.paper) == CLASSES
        # The printed means of UVAD and UMD are off by up to 0.15 from those of the printed rows.
        assert np.mean(row.paper[1:]) == pytest.approx(row.paper_without, abs=0.2)
        assert np.mean(row.paper) == pytest.approx(row.paper_with, abs=0.2)


def test_rows_are_the_published_topologies_narrower() -> None:
    assert set(LUMBAR_BY_NAME) == set(TOPOLOGIES)
    narrow = LUMBAR_BY_NAME["UVD"].network(4)
    expected = replace(TOPOLOGIES["UVD"], filters=8).network()
    assert [tuple(part.shape) for part in narrow.parameters()] == [
        tuple(part.shape) for part in expected.parameters()
    ]


def test_voxels_are_counted_by_truth_and_answer() -> None:
    truth, found = np.array([0, 0, 1, 2], np.uint8), np.array([0, 1, 1, 1], np.uint8)
    counts = count_pairs(truth, found, 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(overlap_percent(counts), [50, 100 / 3, 0])
    together = overlap_percent(np.stack([counts, counts.T]))
    np.testing.assert_allclose(together, [[50, 100 / 3, 0]] * 2)


def _counts(share: float, people: int = 4) -> np.ndarray:
    """Return counts in which each structure shares so much of its voxels with the answer."""
    right = round(1000 * share)
    one = right * np.eye(CLASSES, dtype=int)
    one += (1000 - right) * np.roll(np.eye(CLASSES, dtype=int), 1, axis=1)
    return np.repeat(one[None], people, axis=0)


def test_figures_intervals_and_differences_by_hand() -> None:
    nothing = np.zeros((0, 0, CLASSES, CLASSES), int)
    counts = {row.name: RowCounts(nothing, nothing) for row in LUMBAR_ROWS}
    shares = (0.8, 0.85, 0.9)
    counts["UVD"] = RowCounts(np.stack([_counts(s) for s in shares]), _counts(0.9)[None])
    counts["U1"] = RowCounts(np.stack([_counts(0.8)]), _counts(0.8)[None])
    table = make_lumbar_table(counts)
    means = table[table["structure"] == WITHOUT].set_index("network")
    overlaps = [100 * s / (2 - s) for s in shares]
    own = means.loc["UVD"]
    assert own["ours, synthetic"] == pytest.approx(np.mean(overlaps))
    half = 4.30265 * np.std(overlaps, ddof=1) / np.sqrt(3)  # t of two degrees of freedom
    assert own["high"] - own["ours, synthetic"] == pytest.approx(half, rel=1e-4)
    assert own["ensemble low"] == pytest.approx(overlaps[2])  # people alike: no spread
    assert own["ensemble less U1"] == pytest.approx(overlaps[2] - overlaps[0])
    assert np.isnan(means.loc["U1", "low"])  # one training
    assert np.isnan(means.loc["FCN", "ours, synthetic"])
    assert list(table["structure"].unique()[:2]) == ["background", "vertebrae"]


def test_an_interval_over_people_holds_the_spread_between_them() -> None:
    nothing = np.zeros((0, 0, CLASSES, CLASSES), int)
    counts = {row.name: RowCounts(nothing, nothing) for row in LUMBAR_ROWS}
    people = np.concatenate([_counts(0.7, 2), _counts(0.9, 2)])
    counts["FCN"] = RowCounts(people[None], people[None])
    own = make_lumbar_table(counts).set_index(["structure", "network"]).loc[(WITHOUT, "FCN")]
    worst, best = (figures_of(_counts(s)[0])[-2] for s in (0.7, 0.9))
    assert own["ensemble low"] == pytest.approx(worst)
    assert own["ensemble high"] == pytest.approx(best)
    assert worst < own["ensemble, synthetic"] < best


def _material() -> LumbarSlices:
    """Slices in which the middle is bone, higher in each of four people."""
    tissues = np.full((4, 2, 290, 220), NUMBER["muscle"], np.uint8)
    for n in range(4):
        tissues[n, :, 60 + 40 * n : 140 + 40 * n, 60:120] = NUMBER["marrow"]
    return LumbarSlices(tissues, (0, 1, 2, 3))


def test_batches_follow_seed_and_step_and_show_both_contrasts() -> None:
    one, again, other = (
        draw_lumbar_batch(_material().tissues, SMALL.batch, SMALL.ranges, 0, step)
        for step in (3, 3, 4)
    )
    torch.testing.assert_close(one.image, again.image, rtol=0, atol=0)
    assert not torch.equal(one.image, other.image)
    assert one.image.shape == (2, 2, 32, 32)
    assert all((one.image[:, n] > 0).any() for n in (0, 1))


@pytest.mark.parametrize("name", ["UAD", "U1", "FCN"])
def test_rows_keep_the_published_optimizer_and_rate(name: str) -> None:
    row = LUMBAR_BY_NAME[name]
    schedule = lumbar_run._schedule(LumbarTurn(row, 0, 1), replace(SMALL, rate_factor=3.0))
    assert schedule.optimizer == {"UAD": "RMSprop", "U1": "Adadelta", "FCN": "Adam"}[name]
    assert schedule.rate_at(0) == schedule.rate_at(1) == pytest.approx(3 * row.rate)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UsageError, match="expected one of AdamW, Adam"):
        Schedule(10, 1e-3, optimizer="LBFGS")


@pytest.mark.slow
def test_folds_become_an_ensemble_and_nothing_is_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, fit = [], lumbar_run.fit

    def noted(network, batches, schedule, folder, *rest):  # type: ignore[no-untyped-def]
        trained.append(folder.name)
        return fit(network, batches, schedule, folder, *rest)

    monkeypatch.setattr(lumbar_run, "fit", noted)
    row = LUMBAR_BY_NAME["FCN"]
    run_ensemble(row, 0, SMALL, tmp_path)  # nothing is there yet
    assert not list(tmp_path.iterdir())
    for fold in (1, 2, 1):
        run_lumbar_turn(LumbarTurn(row, 0, fold), SMALL, _material(), tmp_path)
    run_ensemble(row, 0, SMALL, tmp_path)
    assert trained == ["FCN_seed-0_fold-1", "FCN_seed-0_fold-2"]
    counts = read_counts(tmp_path)["FCN"]
    assert counts.folds.shape == (2, 1, CLASSES, CLASSES)
    assert counts.ensembles.shape == (1, 1, CLASSES, CLASSES)
    voxels = counts.folds.sum(axis=(1, 2, 3))
    assert (voxels == counts.ensembles.sum()).all()  # every voxel of the person, once
    assert not np.array_equal(counts.folds[0], counts.folds[1])


@pytest.mark.slow
def test_the_command_writes_the_table_and_says_what_was_not_run(tmp_path: Path) -> None:
    assert main(f"protocol lumbar -o {tmp_path} {WORDS} --rows FCN".split()) == 0
    text = (tmp_path / "table.md").read_text()
    assert (
        text.count("not run") == 14 * 7 + 3 * 7
    )  # U1 has no difference from itself, FCN none from U1
    assert "4 synthetic subjects in 2 folds" in text
    table = pd.read_csv(tmp_path / "table.tsv", sep="\t", na_values="n/a")
    ran = table[table["network"] == "FCN"]
    assert ran["ensemble, synthetic"].notna().all()
    assert (ran["trainings"] == 2).all()
    again = f"protocol lumbar -o {tmp_path} {WORDS} --rows FCN --rate-factor 2"
    assert main(again.split()) == 2  # another protocol in the same folder


def test_an_unknown_row_is_refused(tmp_path: Path) -> None:
    assert main(f"protocol lumbar -o {tmp_path} --rows vnet".split()) == 2


def test_another_protocol_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    keep_protocol({"steps": 2}, tmp_path / "new")
    keep_protocol({"steps": 2}, tmp_path / "new")
    with pytest.raises(UsageError, match="another protocol"):
        keep_protocol({"steps": 3}, tmp_path / "new")
