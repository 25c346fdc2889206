"""Scores of tumors: numbers that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.networks.tumor_maps import STRUCTURES, Structures
from spinalprep.training.evaluation.tumors import score_tumors, summarise_tumors


def _masks(**parts: slice) -> Structures:
    made = {}
    for name in STRUCTURES:
        mask = np.zeros((4, 4, 40), bool)
        if name in parts:
            mask[:, :, parts[name]] = True
        made[name] = mask
    return Structures(**made)


def _row(table: pd.DataFrame, name: str) -> pd.Series:
    return table.set_index("structure").loc[name]


def test_scores_of_slabs() -> None:
    truth = _masks(tumor=slice(0, 10), edema=slice(20, 30))
    found = _masks(tumor=slice(5, 20), cavity=slice(30, 32))
    table = score_tumors(found, truth, voxel_mm3=1.0)
    tumor = _row(table, "tumor")
    assert tumor["dice"] == pytest.approx(100 * 2 * 5 / 25)
    assert tumor["precision"] == pytest.approx(100 / 3)
    assert tumor["recall"] == pytest.approx(50)
    assert tumor["volume_difference"] == pytest.approx(-50)  # too much is negative
    assert tumor["volume_difference_absolute"] == pytest.approx(50)
    assert tumor[["pieces", "hit", "called", "missed"]].tolist() == [1, 1, 1, 0]
    edema, cavity = _row(table, "edema"), _row(table, "cavity")
    assert (edema["dice"], edema["recall"], edema["hit"]) == (0, 0, 0)
    assert (cavity["dice"], cavity["missed"]) == (0, 1)
    assert np.isnan(cavity["dice_where_present"])
    assert np.isnan(_row(table, "abnormality")["dice"])  # neither there nor called


def test_six_cubic_millimetres_of_overlap_detect() -> None:
    truth = _masks(tumor=slice(0, 10))
    for least, voxel in ((1, 16.0), (0, 0.37)):  # one slice of 16 voxels: 16 voxels x 0.37 < 6
        found = _masks(tumor=slice(9, 10))
        row = _row(score_tumors(found, truth, voxel / 1.0 if voxel < 1 else 1.0), "tumor")
        assert row["hit"] == least


def test_a_summary_has_means_intervals_and_the_paper_beside() -> None:
    truth = _masks(tumor=slice(0, 10), abnormality=slice(0, 10))
    good, bad = truth, _masks(tumor=slice(30, 40), abnormality=slice(5, 15))
    tables = [score_tumors(found, truth, 1.0) for found in (good, bad, good, bad)]
    summary = summarise_tumors(tables).set_index(["structure", "measure"])
    dice = summary.loc[("tumor", "dice")]
    assert dice["value"] == pytest.approx(50)
    assert dice["lower"] < 50 < dice["upper"]
    assert dice["paper"] == 61.8
    assert dice["n"] == 4
    assert summary.loc[("tumor", "detected"), "value"] == pytest.approx(50)
    assert summary.loc[("tumor", "false"), "value"] == pytest.approx(50)
    assert np.isnan(summary.loc[("edema", "dice"), "value"])
    assert summary.loc[("abnormality", "dice"), "value"] == pytest.approx(75)
