"""Permutation tests against textbook answers and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

from spinalprep.errors import UsageError
from spinalprep.group.curves import (
    Profiles,
    all_profiles,
    compare_curves,
    gather_profiles,
    mean_curve,
)
from spinalprep.group.design import Comparison, plan_comparisons
from spinalprep.group.domain import Domain
from spinalprep.group.permutation import Plan, _among, compare
from spinalprep.group.tfce import EXTENT, HEIGHT, Enhancer
from spinalprep.image import Image


def groups(first: int, second: int, **columns: list[float]) -> Comparison:
    people = pd.DataFrame(
        {
            "person_id": [f"p{n}" for n in range(first + second)],
            "cohort": ["MS"] * first + ["HC"] * second,
            **columns,
        }
    )
    (found,) = plan_comparisons(people, cohort="cohort", nuisance=list(columns))
    return found


def test_two_groups_are_student_s_t() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(17, 6))
    values[:9, 2] += 2
    comparison = groups(9, 8)
    assert (comparison.name, comparison.question) == ("MSvsHC", "MS minus HC")
    found = compare(values, np.ones_like(values), comparison, Plan(300))
    expected = stats.ttest_ind(values[:9], values[9:])
    np.testing.assert_allclose(found.t, expected.statistic, rtol=1e-4)
    np.testing.assert_allclose(found.p_uncorrected, expected.pvalue, rtol=1e-3)
    np.testing.assert_allclose(found.effect, values[:9].mean(0) - values[9:].mean(0), rtol=1e-4)
    assert found.df.tolist() == [15] * 6
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.lower, interval.low, rtol=1e-3)
    np.testing.assert_allclose(found.upper, interval.high, rtol=1e-3)
    assert found.n_first is not None
    assert found.n_first.tolist() == [9] * 6


def test_missing_people_and_nuisance_are_least_squares_of_those_who_are_there() -> None:
    rng = np.random.default_rng(1)
    age = rng.normal(40, 10, 30)
    values = rng.normal(size=(30, 5)) + 0.05 * age[:, None]
    covered = rng.random((30, 5)) < 0.7
    comparison = groups(15, 15, age=age.tolist())
    found = compare(values, covered, comparison, Plan(20))
    for v in range(5):
        seen = covered[:, v]
        cohort = (np.arange(30) < 15).astype(float)
        design = np.column_stack([cohort, np.ones(30), age])[seen]
        beta, rest, *_ = np.linalg.lstsq(design, values[seen, v], rcond=None)
        free = seen.sum() - 3
        error = np.sqrt(rest[0] / free * np.linalg.inv(design.T @ design)[0, 0])
        np.testing.assert_allclose(found.t[v], beta[0] / error, rtol=1e-4)
        assert found.df[v] == free
        assert found.n[v] == seen.sum()


def test_covariate_is_a_slope() -> None:
    rng = np.random.default_rng(2)
    people = pd.DataFrame({"person_id": list("abcdefghij"), "edss": rng.normal(size=10)})
    (comparison,) = plan_comparisons(people, covariate="edss")
    values = rng.normal(size=(10, 3))
    found = compare(values, np.ones_like(values), comparison, Plan(50))
    for v in range(3):
        line = stats.linregress(people["edss"], values[:, v])
        np.testing.assert_allclose(found.effect[v], line.slope, rtol=1e-4)
        np.testing.assert_allclose(found.t[v], line.slope / line.stderr, rtol=1e-4)


def test_few_people_are_enumerated_and_p_is_exact() -> None:
    values = np.array([[5.0], [6.0], [7.0], [1.0], [2.0], [3.0]])
    found = compare(values, np.ones_like(values), groups(3, 3), Plan(5000, min_n=2))
    assert found.permutations == 20
    assert found.p[0] == pytest.approx(2 / 20)  # the observed split and its mirror image


def test_what_can_t_be_tested_is_nan() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(12, 4)).astype(np.float32)
    covered = np.ones((12, 4), bool)
    covered[:8, 0] = False  # 4 people, fewer than min_n
    values[:, 1] = 0.0  # no lesion in anybody
    covered[1:6, 2] = False  # one person of the first cohort alone
    found = compare(values, covered, groups(6, 6), Plan(100, min_n=5))
    assert np.isnan(found.p).tolist() == [True, True, True, False]
    assert np.isnan(found.t).tolist() == [True, True, True, False]
    assert found.n.tolist() == [4, 12, 7, 12]


def test_cohorts_covered_differently_are_permuted_within_who_is_there() -> None:
    # one lesion among the three of the first cohort who cover the voxel, none among thirty
    values = np.zeros((60, 2))
    covered = np.ones((60, 2), bool)
    covered[3:30] = False
    values[0] = 1.0
    found = compare(values, covered, groups(30, 30), Plan(4000, min_n=3))
    assert found.n.tolist() == [33, 33]
    assert found.p[0] == pytest.approx(3 / 33, abs=0.02)  # the chance that it hits one of the three


def test_permutations_stay_random_and_alike_when_somebody_is_missing() -> None:
    rng = np.random.default_rng(10)
    orders = np.stack([rng.permutation(7) for _ in range(6000)]).astype(np.int32)
    seen = np.array([True, True, False, True, True, False, True])
    induced = _among(orders, seen)
    assert (np.sort(induced, axis=1) == np.arange(5)).all()
    counts = np.stack([(induced == n).sum(axis=0) for n in range(5)])
    assert np.abs(counts - 1200).max() < 5 * np.sqrt(1200)
    one_less = seen.copy()
    one_less[6] = False
    before = np.flatnonzero(seen)[induced]
    after = np.flatnonzero(one_less)[_among(orders, one_less)]
    changed = (before[:, :4] != after).sum(axis=1)
    assert changed.max() == 1  # who was followed by the one who left


def test_enumerated_splits_are_fair_where_somebody_is_missing() -> None:
    values = np.zeros((14, 2))
    values[:7] = 1.0  # as different as can be
    values[:, 1] += np.random.default_rng(0).normal(size=14)
    covered = np.ones((14, 2), bool)
    covered[[6, 13], 0] = False
    found = compare(values, covered, groups(7, 7), Plan(5000, min_n=2))
    assert found.permutations == 3432
    assert found.p[0] < 0.006  # 2 of the 924 splits of those who are there, each drawn a few times


def test_a_voxel_whose_people_don_t_answer_the_question_is_not_tested() -> None:
    rng = np.random.default_rng(8)
    sex = [0.0, 1.0] * 10
    comparison = groups(10, 10, sex=sex)
    covered = np.ones((20, 2), bool)
    covered[:10, 0] = np.array(sex[:10]) > 0  # women of the first cohort, men of the second
    covered[10:, 0] = np.array(sex[10:]) < 1
    found = compare(rng.normal(size=(20, 2)), covered, comparison, Plan(50, min_n=3))
    assert np.isnan(found.p[0])
    assert np.isfinite(found.p[1])


@pytest.mark.parametrize(("scale", "unit"), [(1e-8, 1.0), (1.0, 1e-6), (1e5, 1e6)])
def test_units_don_t_matter(scale: float, unit: float) -> None:
    rng = np.random.default_rng(9)
    dose = rng.normal(size=20)
    values = rng.normal(size=(20, 3)) + 2 * dose[:, None]
    people = pd.DataFrame({"person_id": range(20), "dose": dose})
    scaled = people.assign(dose=dose * unit)
    one, two = (
        compare(v, np.ones((20, 3)), plan_comparisons(p, covariate="dose")[0], Plan(100))
        for v, p in ((values, people), (values * scale, scaled))
    )
    np.testing.assert_allclose(two.t, one.t, rtol=1e-4)
    np.testing.assert_array_equal(two.p, one.p)


def test_nothing_to_test_is_an_answer() -> None:
    found = compare(np.zeros((8, 3)), np.ones((8, 3)), groups(4, 4), Plan(50, min_n=2))
    assert np.isnan(found.p).all()
    assert compare(np.zeros((8, 0)), np.zeros((8, 0)), groups(4, 4), Plan(50)).p.shape == (0,)


def test_cohorts_whose_files_would_clash_are_refused() -> None:
    people = pd.DataFrame({"person_id": range(6), "c": ["a-1", "a1", "b"] * 2})
    with pytest.raises(UsageError, match="same name in files"):
        plan_comparisons(people, cohort="c")


def test_same_seed_same_p_and_order_of_columns_is_free() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(20, 30))
    covered = rng.random((20, 30)) < 0.8
    comparison = groups(10, 10)
    one = compare(values, covered, comparison, Plan(200, seed=5))
    two = compare(values[:, ::-1], covered[:, ::-1], comparison, Plan(200, seed=5))
    np.testing.assert_array_equal(one.p, two.p[::-1])
    other = compare(values, covered, comparison, Plan(200, seed=6))
    assert not np.array_equal(one.p, other.p)


def test_a_planted_difference_survives_correction_and_others_don_t() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(40, 200))
    values[:20, 7] += 3
    found = compare(values, np.ones_like(values), groups(20, 20), Plan(500))
    assert found.p[7] <= 1 / 500 + 1e-9
    assert (np.delete(found.p, 7) > 0.05).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"nuisance": ["site"]}, "no column 'site'; it has cohort, age"),
        ({"covariate": "cohort"}, "contains no numbers"),
        ({"covariate": "age", "nuisance": ["age"]}, "collinear"),
    ],
)
def test_impossible_questions_are_refused(columns: dict[str, object], message: str) -> None:
    people = pd.DataFrame({"person_id": list("abcdef"), "cohort": list("xxxyyy"), "age": range(6)})
    with pytest.raises(UsageError, match=message):
        plan_comparisons(people, **columns)  # type: ignore[arg-type]


def test_people_without_a_value_are_dropped_and_named() -> None:
    people = pd.DataFrame(
        {
            "person_id": list("abcdefgh"),
            "cohort": ["x"] * 4 + ["y"] * 4,
            "age": [1.0, 2, np.nan, 4, 5, 6, 9, 8],
        }
    )
    (found,) = plan_comparisons(people, cohort="cohort", nuisance=["age"])
    assert found.dropped == ("c",)
    assert found.rows.tolist() == [0, 1, 3, 4, 5, 6, 7]


def test_enhancement_against_the_definition() -> None:
    rng = np.random.default_rng(6)
    field = ndimage.gaussian_filter(rng.normal(size=(7, 6, 12)), 1.0) * 6
    mask = rng.random(field.shape) < 0.8
    domain = Domain.of(Image(mask.astype(np.float32), np.diag([0.5, 0.5, 0.5, 1.0])))
    z = np.asarray(domain.take(field), np.float32)
    found = Enhancer(domain, steps=20)(z)
    expected = np.zeros(field.shape)
    for sign in (1, -1):
        part = np.where(mask, np.maximum(sign * field, 0), 0)
        step = part.max() / 20
        for height in (np.arange(20) + 0.5) * step:
            labels, count = ndimage.label(part > height, structure=np.ones((3, 3, 3)))
            for n in range(1, count + 1):
                inside = labels == n
                expected[inside] += sign * inside.sum() ** EXTENT * height**HEIGHT * step
    np.testing.assert_allclose(found, domain.take(expected), rtol=1e-4, atol=1e-5)


def test_enhancement_prefers_support() -> None:
    domain = Domain.of(Image(np.ones((3, 3, 30), np.float32), np.eye(4)))
    z = np.zeros(domain.shape, np.float32)
    z[1, 1, 3] = 2.0  # alone
    z[:, :, 20:26] = 2.0  # in company
    enhanced = domain.put(Enhancer(domain)(np.asarray(domain.take(z), np.float32)))
    assert enhanced[1, 1, 22] > 5 * enhanced[1, 1, 3]


def test_curves_leave_doubtful_slices_out() -> None:
    rows = [("a", 2, "C3", 70.0, False), ("a", 1, "C3", 9.0, True), ("b", 2, "C3", 80.0, False)]
    names = ["person_id", "template_slice", "vertebral_level", "area_mm2", "doubtful"]
    rows.append(("b", 1, "C3", 60.0, False))
    profiles = all_profiles(pd.DataFrame(rows, columns=names), ["a", "b"])["area_mm2"]
    np.testing.assert_array_equal(profiles.measures, [[70.0, np.nan], [80.0, 60.0]])


def test_curves_are_means_of_people_and_bands_are_student_s() -> None:
    rng = np.random.default_rng(7)
    rows = []
    for n in range(12):
        for k in range(10, 30):
            if n < 4 and k < 15:
                continue
            level = "C3" if k >= 20 else "C4"
            rows.append((f"p{n}", k, level, 70 + (n < 6) * 5 * (k >= 20) + rng.normal()))
    names = ["person_id", "template_slice", "vertebral_level", "area_mm2"]
    table = pd.DataFrame(rows, columns=names)
    profiles = gather_profiles(table, "area_mm2", [f"p{n}" for n in range(12)])
    assert profiles.slices.tolist() == list(range(29, 9, -1))
    curve = mean_curve(profiles, np.arange(12), min_n=9).set_index("template_slice")
    assert curve.loc[12, "n"] == 8
    assert curve["changed"].loc[lambda counts: counts > 0].to_dict() == {14: 4}
    assert np.isnan(curve.loc[12, "mean"])
    own = table[table["template_slice"] == 25]["area_mm2"]
    low, high = stats.t.interval(0.95, 11, own.mean(), stats.sem(own))
    assert curve.loc[25, ["lower", "upper"]].tolist() == pytest.approx([low, high])
    found = compare_curves(profiles, groups(6, 6), Plan(400))
    assert (found.p[:10] < 0.05).all()
    assert (found.p[10:15] > 0.05).all()
    assert np.isnan(found.p[15:]).all()  # two of the first cohort, fewer than 5


def test_a_curve_counts_who_is_exchanged_although_the_number_stays() -> None:
    measured = np.ones((6, 4))
    measured[0, 2:] = measured[1, :2] = np.nan  # the first leaves where the second enters
    profiles = Profiles(tuple("abcdef"), np.arange(3, -1, -1), ("C3",) * 4, measured)
    curve = mean_curve(profiles, np.arange(6), min_n=2)
    assert curve["n"].tolist() == [5] * 4
    assert curve["changed"].tolist() == [0, 0, 2, 0]
