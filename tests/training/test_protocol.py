"""The table of the RA-U-Net paper: its slices, its rows, and how it is taken up again."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from spinalprep.errors import UsageError
from spinalprep.networks.ra_unet2d import RAUNet2d
from spinalprep.tools.main import main
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.material.cases import find_cases
from spinalprep.training.material.whole_slices import fit_plane, read_whole_slices
from spinalprep.training.protocol import run
from spinalprep.training.protocol.rows import BY_NAME, ROWS
from spinalprep.training.protocol.run import (
    Protocol,
    Sites,
    Turn,
    check_protocol,
    run_turn,
    start_at_prevalence,
)
from spinalprep.training.protocol.table import NOT_RUN, figures_of, make_table, read_results
from spinalprep.training.recipes import find_recipe, task_of

SMALL = Protocol(filters=2, epochs=1, batch=4, size=64, slices=3, folds=2)


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people with a bright disc, drawn in four slices of five."""
    root = tmp_path_factory.mktemp("bids")
    for n in range(4):
        draw = np.random.default_rng(n)
        i, j = np.indices((40, 30)) - np.array([20, 14 + n])[:, None, None]
        disc = np.repeat((np.hypot(i, j) < 5)[..., None], 5, axis=2)
        image = 100 * disc + draw.normal(50, 5, disc.shape)
        disc[..., 0] = False
        for folder, name, data in (
            (root, "T2w", image),
            (root / "derivatives" / "labels", "T2w_seg-manual", disc),
        ):
            path = folder / f"sub-{n}" / "anat" / f"sub-{n}_{name}.nii.gz"
            path.parent.mkdir(parents=True)
            affine = np.diag([-1.0, 1.0, 3.0, 1.0])
            nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    return root


@pytest.fixture(scope="module")
def sites(bids: Path) -> Sites:
    return Sites(read_whole_slices(find_cases(bids), SMALL.size, SMALL.slices))


def test_slices_are_scaled_one_by_one_and_masks_stay_masks(sites: Sites) -> None:
    own = sites.own
    assert own.image.shape == (4 * 3, 64, 64)
    np.testing.assert_array_equal(own.image.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(own.image.max(axis=(1, 2)), 1)
    assert set(np.unique(own.cord)) == {0.0, 1.0}
    assert own.place[:3].tolist() == [1, 3, 4]  # of the four in which something was drawn
    area = 69 * (64 / 40) ** 2  # pixels nearer than 5 to a pixel's middle
    np.testing.assert_allclose(own.cord.sum(axis=(1, 2)), area, rtol=0.05)


@pytest.mark.parametrize(("shape", "pixel"), [((100, 40), (0.5, 0.5)), ((50, 40), (1.0, 0.5))])
def test_a_circle_stays_one(shape: tuple[int, int], pixel: tuple[float, float]) -> None:
    i, j = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, pixel, strict=True))
    circle = (np.hypot(i[:, None], j) < 7).astype(np.float32)
    fitted = fit_plane(circle, np.array(pixel), 128, "nearest-exact") > 0
    extent = [int(fitted.any(axis=axis).sum()) for axis in (0, 1)]
    assert extent == pytest.approx([14 * 128 / 50] * 2, abs=2.1)


def test_every_slice_comes_once_an_epoch_in_another_order(sites: Sites) -> None:
    def epoch(first: int) -> np.ndarray:
        batches = [run.draw(sites.own, 5, 7, step).image for step in range(first, first + 3)]
        return np.concatenate(batches)[:, 0]

    once, again = epoch(0), epoch(3)
    assert once.shape == sites.own.image.shape
    assert not np.array_equal(once, again)
    for part in (once, again):
        np.testing.assert_array_equal(np.sort(part.sum((1, 2))), np.sort(again.sum((1, 2))))
    np.testing.assert_array_equal(epoch(0), once)


def test_cyclical_rows_rise_and_fall_between_the_published_bounds(sites: Sites) -> None:
    schedule = run._schedule(Turn(BY_NAME["ra-unet-clr"], 0, 1), sites.own, SMALL)
    rates = [schedule.rate_at(step) for step in range(2 * schedule.cycle)]
    assert min(rates) == pytest.approx(1e-5)
    assert max(rates) == pytest.approx(1e-3)
    fixed = run._schedule(Turn(BY_NAME["unet-tl-0.3"], 0, 1), sites.own, SMALL)
    assert fixed.rate_at(0) == fixed.rate_at(3) == 1e-5


def test_figures_by_hand() -> None:
    counts = {"hits": [2, 0], "invented": [1, 0], "missed": [1, 2], "empty": [6, 8]}
    found = figures_of(pd.DataFrame({"dice": [2 / 3, 0.0], **counts}))
    assert (found.mean, found.sd) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (found.p25, found.p50, found.p75) == pytest.approx((1 / 6, 1 / 3, 1 / 2))
    expected = (2 * 14 - 1 * 3) / np.sqrt(3 * 5 * 15 * 17)
    assert found.matthews == pytest.approx(expected)


@pytest.mark.slow
def test_killed_rows_are_taken_up_and_finished_ones_are_not_trained_again(
    sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [Turn(BY_NAME[name], 0, 1) for name in ("unet-tl-0.4", "ra-unet-clr")]
    trained, fit = [], run.fit

    def killed(network, batches, schedule, folder, *rest):  # type: ignore[no-untyped-def]
        if "ra-unet" in folder.name and not trained.count(folder.name):
            trained.append(folder.name)
            raise KeyboardInterrupt
        trained.append(folder.name)
        return fit(network, batches, schedule, folder, *rest)

    monkeypatch.setattr(run, "fit", killed)
    check_protocol(SMALL, sites, tmp_path)
    run_turn(turns[0], sites, SMALL, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_turn(turns[1], sites, SMALL, tmp_path)
    table = make_table(read_results(tmp_path)).set_index("row")
    assert table.loc["ra-unet-clr", "ours"] == NOT_RUN
    assert table.loc["unet-tl-0.4", "ours"] != NOT_RUN
    for turn in turns:
        run_turn(turn, sites, SMALL, tmp_path)
    assert [name.split("_")[0] for name in trained] == ["unet-tl-0.4", *2 * ["ra-unet-clr"]]
    results = read_results(tmp_path)
    assert set(results["person_id"].astype(str)) == {"0", "2"}  # fold 1 of 2, never others
    table = make_table(results)
    assert list(table["row"]) == [row.name for row in ROWS]
    assert (table["ours"] == NOT_RUN).sum() == 7
    assert set(table["interval over seeds"]) == {"n/a"}
    with pytest.raises(UsageError, match="another protocol"):
        check_protocol(Protocol(filters=3), sites, tmp_path)


@pytest.mark.slow
def test_the_command_writes_table_and_pictures(bids: Path, tmp_path: Path) -> None:
    words = f"protocol ra-unet {bids} -o {tmp_path} --other-site {bids} --filters 1 --epochs 1"
    words += " --slices 1 --folds 2 --range-steps 2 --rows ra-unet-clr --threads 1"
    assert main(words.split()) == 0
    names = ("epochs", "histograms", "overlays", "range_test")
    assert all((tmp_path / f"{name}.png").is_file() for name in names)
    text = (tmp_path / "table.md").read_text()
    assert text.count("not run") == 16
    assert "no order of rows is claimed" in text
    assert "1 filters" in text


def test_an_unknown_row_is_refused(bids: Path, tmp_path: Path) -> None:
    assert main(f"protocol ra-unet {bids} -o {tmp_path} --rows vnet".split()) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(bids: Path, tmp_path: Path) -> None:
    assert main(f"protocol ra-unet {bids} -o {tmp_path} --device cuda".split()) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_of_the_cascade_has_loss_and_rates_of_the_best_row() -> None:
    recipe, best = find_recipe("ra-unet"), BY_NAME["ra-unet-clr"]
    schedule = task_of(recipe).schedule(recipe.steps)
    rates = [schedule.rate_at(step) for step in range(recipe.cycle)]
    assert (min(rates), max(rates)) == pytest.approx((best.lowest, best.rate))
    assert isinstance(task_of(recipe).network(), RAUNet2d)
    logits, truth = torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    ours, theirs = (
        find_loss(words)(logits, truth, torch.ones(2, 1, 1, 1))
        for words in (recipe.loss, best.loss)
    )
    assert float(ours) == pytest.approx(float(theirs))


@pytest.mark.parametrize("name", ["unet-tl-0.4", "deep-unet-clr", "ra-unet-clr"])
def test_a_network_starts_at_the_share_of_cord(name: str) -> None:
    torch.manual_seed(0)
    network = start_at_prevalence(BY_NAME[name].network(2), 0.01).eval()
    with torch.no_grad():
        shown = torch.sigmoid(network(torch.zeros(1, 1, 64, 64))).mean()
    assert 0.002 < float(shown) < 0.05


def test_more_passes_are_more_steps_of_an_epoch(sites: Sites) -> None:
    turn = Turn(ROWS[0], 0, 1)
    once, twice = (run._schedule(turn, sites.own, replace(SMALL, passes=n)) for n in (1, 2))
    assert (twice.steps, twice.save_every) == (2 * once.steps, 2 * once.save_every)
    assert once.save_every == 3  # twelve slices by four
