"""The normative table: how it is made, what ships, and how people are held against it."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.normative.build import LEAST_PEOPLE, SOURCE, build_table
from spinalprep.normative.model import fit_spread
from spinalprep.normative.people import read_people
from spinalprep.normative.table import (
    MEASURES,
    SHIPPED,
    Z_COLUMNS,
    Norms,
    Subject,
    load_norms,
    normalise_compression,
    score_levels,
    score_slices,
)

FOLDER = Path(os.environ.get("SPINALPREP_SHARED", "../shared")) / "data" / "normative"
WOMAN = Subject(30.0, "F")


def draw(seed: int, count: int = 203) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw values, sex and site: means 70 and 75, SD 6 and 7 within and 2.5 between 44 sites."""
    chance = np.random.default_rng(seed)
    site = np.arange(count) % 44
    male = chance.random(count) < 0.5
    own = chance.normal(0, 1, count) * np.where(male, 7.0, 6.0)
    values = np.where(male, 75.0, 70.0) + own + chance.normal(0, 2.5, 44)[site]
    return values, male, site


def test_means_and_variances_are_found_without_bias() -> None:
    found = []
    for seed in range(40):
        spread = fit_spread(*draw(seed))
        found.append([*spread.mean, *spread.sd, spread.site])
    average, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    truth = [70.0, 75.0, np.hypot(6, 2.5), np.hypot(7, 2.5), 2.5]
    assert (np.abs(average - truth) < 3.5 * error).all()


def test_the_unit_of_measure_does_not_matter() -> None:
    values, male, site = draw(3)
    spread, scaled = fit_spread(values, male, site), fit_spread(100 * values - 5, male, site)
    np.testing.assert_allclose(scaled.mean, 100 * np.array(spread.mean) - 5)
    np.testing.assert_allclose(scaled.sd, 100 * np.array(spread.sd))


def test_a_balanced_design_gives_the_variances_of_the_table_of_variance() -> None:
    """With equal numbers the restricted likelihood is known in closed form."""
    chance = np.random.default_rng(5)
    site, male = np.repeat(np.arange(30), 6), np.tile([True, False], 90)
    values = chance.normal(0, 3, 30)[site] + chance.normal(0, 4, 180)
    spread = fit_spread(values, male, site)
    table = pd.DataFrame({"y": values, "site": site, "male": male})
    inner = table["y"] - table.groupby("site")["y"].transform("mean")
    inner -= inner.groupby(table["male"]).transform("mean")
    within = (inner**2).sum() / (180 - 30 - 1)
    between = table.groupby("site")["y"].mean().var() - within / 6
    assert np.mean(np.square(spread.within)) == pytest.approx(within, rel=0.03)
    assert spread.site == pytest.approx(np.sqrt(between), rel=0.05)


def cohort(count: int = 120, short: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """People with three slices of C3; of the first ``short`` the lowest is missing."""
    chance = np.random.default_rng(0)
    names = [f"sub-{'abcdefghijkl'[n % 12]}{n:03d}" for n in range(count)]
    people = pd.DataFrame({"participant_id": names, "sex": ["F", "M"] * (count // 2)})
    people = people.assign(age=20.0 + np.arange(count) % 30, site=people["participant_id"].str[4])
    rows = []
    for n, name in enumerate(names):
        size = chance.normal(70 + 5 * (n % 2), 6)
        for k in (902, 901, 900)[: 2 if n < short else 3]:
            own = {"area_mm2": size * (1 + 0.01 * (k - 901)), "diameter_ap_mm": 8.0 + 0.01 * size}
            own |= {"diameter_rl_mm": 12.0, "compression_ratio": 0.7}
            rows.append({"participant_id": name, "template_slice": k, "vertebral_level": 3, **own})
    return pd.DataFrame(rows), people


def test_table_says_how_many_people_of_how_many_sites_and_what_age() -> None:
    table = build_table(*cohort(120, short=119))
    norms = Norms(table)
    area = norms.along("area_mm2", "F")
    assert area.index.tolist() == [902, 901]  # one person shows the lowest slice: too few
    assert (area["n"] == 60).all()
    assert (area["sites"] == 6).all()  # labels alternate with sex
    assert area["age_min"].tolist() == [20.0, 20.0]
    assert area["age_max"].tolist() == [48.0, 48.0]
    assert area.loc[902, "mean"] / area.loc[901, "mean"] == pytest.approx(1.01)
    both = norms.along("area_mm2")
    women, men = (norms.along("area_mm2", sex).loc[902] for sex in "FM")
    assert both.loc[902, "mean"] == pytest.approx(np.sqrt(women["mean"] * men["mean"]))
    band = norms.band("area_mm2", "F").loc[902]
    assert band["upper"] / band["mean"] == pytest.approx(np.exp(1.96 * women["sd"]))
    assert band["mean"] / band["lower"] == pytest.approx(np.exp(1.96 * women["sd"]))
    assert both.loc[902, "sd"] > max(women["sd"], men["sd"]) * 0.95
    assert norms.of_levels("area_mm2").empty  # one person shows nine tenths of the level
    few, people = cohort(2 * LEAST_PEOPLE - 2)
    assert build_table(few, people).empty


def test_z_counts_standard_deviations_and_only_where_sex_age_and_level_are_known() -> None:
    norms = Norms(build_table(*cohort()))
    women = norms.along("area_mm2", "F")
    table = pd.DataFrame({"template_slice": [902, 901, 900, 500]}).assign(
        vertebral_level=[3.0, 3.0, np.nan, 9], doubtful=False
    )
    table["area_mm2"] = [*(women["mean"] * np.exp(2 * women["sd"])), 70.0]
    scored = score_slices(table, norms, WOMAN)
    np.testing.assert_allclose(scored["area_z"], [2.0, 2.0, np.nan, np.nan])
    assert set(Z_COLUMNS.values()) <= set(scored)
    assert scored["diameter_ap_z"].isna().all()  # was not measured
    unsure = score_slices(table.assign(doubtful=[True, False, False, False]), norms, WOMAN)
    np.testing.assert_allclose(unsure["area_z"], [np.nan, 2.0, np.nan, np.nan])
    for nobody in (Subject(30.0, None), Subject(None, "F"), Subject(60.0, "F"), Subject(18.0, "F")):
        assert score_slices(table, norms, nobody)["area_z"].isna().all()
    man = score_slices(table, norms, Subject(30.0, "M"))["area_z"].iloc[0]
    assert man < 1.8


def test_levels_are_held_against_the_slices_that_are_seen() -> None:
    norms = Norms(build_table(*cohort()))
    level = norms.of_levels("area_mm2", "F").loc[3]
    shift = np.exp(1.5 * level["sd"])
    centre = norms.along("area_mm2", "F")["mean"].loc[901]
    at = np.linspace(2.8, 4.2, 15)
    own = pd.DataFrame({"level_at": at, "area_mm2": centre * shift * np.exp(0.03 * (3.5 - at))})
    summary = pd.DataFrame({"vertebral_level": [2, 3, 4]})
    z = score_levels(summary, own, norms, WOMAN)["area_z"]
    np.testing.assert_allclose(z, [np.nan, 1.5, np.nan], atol=0.002)
    half = own[own["level_at"] < 3.6]  # two of the three slices
    assert score_levels(summary, half, norms, WOMAN)["area_z"].iloc[1] == pytest.approx(
        1.5, abs=0.01
    )
    sliver = own[own["level_at"] < 3.3]
    assert score_levels(summary, sliver, norms, WOMAN)["area_z"].isna().all()
    unknown = own.assign(level_at=np.nan)
    assert score_levels(summary, unknown, norms, WOMAN)["area_z"].isna().all()


def test_the_shipped_table_names_its_source_and_no_person() -> None:
    norms = load_norms()
    said = json.loads((SHIPPED.parent / "healthy-adults_PAM50.json").read_text())
    assert "MIT" in said["License"]
    assert "10.1162/imag_a_00075" in said["Citation"]
    assert set(said["Columns"]) == set(norms.table.columns)
    assert norms.table["n"].min() >= LEAST_PEOPLE
    assert b"sub-" not in gzip.decompress(SHIPPED.read_bytes())
    women, men = (norms.of_levels("area_mm2", sex)["mean"] for sex in "FM")
    assert (men > women).all()
    assert women.loc[3] == pytest.approx(70.2, abs=1.0)  # the plain mean of 98 women
    assert set(norms.table["measure"]) == set(MEASURES)


@pytest.mark.data
@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the people's tables")
def test_the_shipped_table_is_what_the_people_give() -> None:
    slices, people = read_people(FOLDER, SOURCE)
    assert len(people) == 203
    assert people["site"].nunique() == 44
    again = build_table(slices[slices["vertebral_level"] == 3], people)
    shipped = load_norms().table
    shipped = shipped[shipped["vertebral_level"] == 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, shipped, rtol=1e-4, check_dtype=False)


def test_normalised_compression_of_a_healthy_cord_is_none() -> None:
    norms = load_norms()
    mean = norms.along("diameter_ap_mm")["mean"].sort_index(ascending=False)
    table = pd.DataFrame({"template_slice": mean.index, "vertebral_level": 3.0})
    table["doubtful"] = False
    table["s_mm"] = 0.6 * np.arange(len(mean))
    table["diameter_ap_mm"] = 1.1 * mean.to_numpy()
    even = normalise_compression(table, norms)["mscc_norm_percent"]
    np.testing.assert_allclose(even.iloc[60:-60], 0.0, atol=1e-9)
    assert np.isnan(even.iloc[0])
    own = table.assign(diameter_ap_mm=table["diameter_ap_mm"].where(table.index != 200, 0.0))
    own.loc[200, "diameter_ap_mm"] = 0.55 * mean.iloc[200]
    assert normalise_compression(own, norms)["mscc_norm_percent"][200] == pytest.approx(50.0)
    unsure = own.assign(doubtful=own.index == 200)
    assert np.isnan(normalise_compression(unsure, norms)["mscc_norm_percent"][200])
    unknown = table.assign(vertebral_level=np.nan)
    assert normalise_compression(unknown, norms)["mscc_norm_percent"].isna().all()
