"""Maps, occupancy and who counts, against counting by hand."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.group.cohort import Candidate, choose_people
from spinalprep.group.consistency import Origin, find_differences
from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import (
    MeanImage,
    Tally,
    probability_maps,
    scale_to_cord,
    wilson_interval,
)
from spinalprep.group.regions import bootstrap_mean, build_regions, measure_occupancy
from spinalprep.image import Image


def make_domain(voxel_mm: float = 0.5) -> Domain:
    data = np.zeros((5, 4, 6), np.float32)
    data[1:4, 1:3, 1:5] = 1
    return Domain.of(Image(data, np.diag([-voxel_mm, voxel_mm, voxel_mm, 1.0])))


def test_domain_takes_and_puts_back() -> None:
    domain = make_domain()
    volume = np.arange(120, dtype=float).reshape(5, 4, 6)
    values = domain.take(volume)
    assert len(values) == domain.size == 24
    back = domain.put(values)
    assert np.isnan(back).sum() == 120 - 24
    np.testing.assert_array_equal(back[np.isfinite(back)], values)
    assert domain.voxel_mm3 == pytest.approx(0.125)
    assert set(domain.slices.tolist()) == {1, 2, 3, 4}
    with pytest.raises(InputError, match="not the template's"):
        domain.take(volume[1:])
    with pytest.raises(EmptyMaskError):
        Domain.of(Image(np.zeros((2, 2, 2), np.float32), np.eye(4)))


def test_probability_is_over_who_covers_the_voxel() -> None:
    rng = np.random.default_rng(0)
    people = []
    for n in range(9):
        covered = rng.random(24) < 0.6
        soft = rng.random(24).astype(np.float32) if n % 2 else None
        people.append(Observation(covered, rng.random(24) < 0.3, soft))
    tally = Tally.empty(24)
    for person in people:
        tally.add(person)
    maps = probability_maps(tally, min_n=5)
    for v in range(24):
        those = [p for p in people if p.covered[v]]
        assert maps.coverage[v] == np.float32(len(those) / 9)
        if len(those) < 5:
            assert np.isnan([maps.probability[v], maps.lower[v], maps.upper[v], maps.soft[v]]).all()
            continue
        hits = sum(bool(p.lesion[v]) for p in those)
        assert maps.probability[v] == pytest.approx(hits / len(those))
        assert maps.lower[v] <= maps.probability[v] <= maps.upper[v]
    assert (maps.probability == 0).any()  # an observed zero is a number
    known = [p for p in people if p.soft is not None]
    enough = [v for v in range(24) if sum(p.covered[v] for p in known) >= 3]
    again = probability_maps(tally, min_n=3)
    for v in enough:
        expected = np.mean([p.soft[v] for p in known if p.covered[v]])  # type: ignore[index]
        assert again.soft[v] == pytest.approx(expected, rel=1e-5)


def test_wilson_covers_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = rng.binomial(40, 0.1, 4000)
    low, high = wilson_interval(hits, np.full(4000, 40))
    assert 0.93 < np.mean((low <= 0.1) & (high >= 0.1)) < 0.98


def test_mean_image_ignores_what_is_not_covered() -> None:
    mean = MeanImage.empty((3,))
    mean.add(np.array([1.0, np.nan, 3.0], np.float32))
    mean.add(np.array([3.0, np.nan, np.nan], np.float32))
    np.testing.assert_array_equal(mean.mean(1), [2.0, np.nan, 3.0])
    np.testing.assert_array_equal(mean.mean(2), [2.0, np.nan, np.nan])
    scaled = scale_to_cord(np.array([4.0, 2.0, np.nan], np.float32), np.array([True, False, True]))
    np.testing.assert_array_equal(scaled, [1.0, 0.5, np.nan])


def test_occupancy_is_volume_over_covered_volume() -> None:
    domain = make_domain(1.0)
    k, i = domain.slices, domain.ijk[:, 0]
    levels = np.where(k >= 3, 3, 4)
    left = np.where(i == 1, 1.0, np.where(i == 2, 0.5, 0.0)).astype(np.float32)
    tracts = [("left tract", left), ("right tract", 1 - left)]
    regions = build_regions(
        domain, levels, {3: "C3", 4: "C4"}, tracts, {"dorsal columns": (0,), "white matter": (0, 1)}
    )
    person = Observation(k >= 2, (k == 3) & (i == 2))
    table = measure_occupancy(regions, person).set_index(["levels", "kind", "region"])
    whole = table.loc[("all", "cord", "cord")]
    assert whole["region_mm3"] == pytest.approx(24)
    assert whole["covered_mm3"] == pytest.approx(18)
    assert whole["occupancy"] == pytest.approx(2 / 18)
    upper = table.loc[("C1-C3", "tract", "left tract")]
    assert upper["lesion_mm3"] == pytest.approx(2 * 0.5)
    assert upper["occupancy"] == pytest.approx(1.0 / (4 * 1.5))
    assert table.loc[("C4", "column", "dorsal"), "occupancy"] == 0
    assert ("C3", "tract", "left tract") not in table.index
    blind = measure_occupancy(regions, Observation(k == 4, k == 9)).set_index(["levels", "kind"])
    assert np.isnan(blind.loc[("C4", "cord"), "occupancy"])


def test_bootstrap_interval_covers_the_mean() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for n in range(100):
        values = rng.normal(3, 1, (40, 1))
        values[rng.random(40) < 0.2] = np.nan
        mean, low, high = bootstrap_mean(values, seed=n, rounds=500)
        assert mean[0] == pytest.approx(np.nanmean(values))
        inside += bool(low[0] <= 3 <= high[0])
    assert 86 <= inside <= 100


def candidate(name: str, **more: object) -> Candidate:
    given: dict[str, object] = {"person_id": f"sub-{name}", "level_source": "manual", **more}
    return Candidate(f"sub-{name}", "n/a", "n/a", "T2w", **given)  # type: ignore[arg-type]


def test_every_reason_to_leave_somebody_out() -> None:
    people = [
        candidate("08", person_id="A"),
        candidate("07", person_id="A"),
        candidate("01"),
        candidate("02", state="failed"),
        candidate("03", failed_gates=("components", "area_jump")),
        candidate("04", level_source="unknown"),
        candidate("05", missing=("x.nii.gz",)),
        candidate("06"),
    ]
    decisions = choose_people(people, {"sub-06"})
    told = {d.candidate.participant_id: d.reason for d in decisions}
    assert [d.candidate.participant_id for d in decisions if d.used] == ["sub-01", "sub-07"]
    assert told == {
        "sub-01": "n/a",
        "sub-02": "the participant level did not finish (failed)",
        "sub-03": "quality gate FAIL: components, area_jump",
        "sub-04": "vertebral levels are unknown",
        "sub-05": "missing: x.nii.gz",
        "sub-06": "excluded by --exclude-yml",
        "sub-07": "n/a",
        "sub-08": "another image of the same person is used (sub-07)",
    }


def test_the_first_usable_image_of_a_person_counts() -> None:
    runs = [
        Candidate("sub-1", "ses-1", run, "T2w", "x", level_source=source)
        for run, source in (("1", "unknown"), ("2", "manual"), ("3", "manual"))
    ]
    used = [d.candidate.name for d in choose_people(runs) if d.used]
    assert used == ["sub-1_ses-1_run-2"]


def test_differences_are_named_with_their_people() -> None:
    same = [Origin(f"sub-{n}", "1.0", "PAM50#a", {"cord": "f" * 64}, {"n4": True}) for n in "abc"]
    assert find_differences(same) == []
    drawn = Origin("sub-d", "1.0", "PAM50#a", {}, {"n4": True})  # masks drawn by hand
    assert find_differences([*same, drawn]) == []
    other = Origin("sub-e", "1.1", "PAM50#a", {"cord": "0" * 64}, {"n4": False})
    lines = find_differences([*same, other])
    assert lines[0] == "version: 1.0 in 3 people, but 1.1 in sub-e"
    assert [line.partition(":")[0] for line in lines] == ["version", "model cord", "parameter n4"]


def test_regions_without_an_atlas_are_levels() -> None:
    domain = make_domain()
    regions = build_regions(domain, np.full(domain.size, 8), {8: "T1"})
    assert set(regions.table["kind"]) == {"cord"}
    assert regions.table["levels"].tolist() == ["all", "T1-T6", "T1"]
    assert isinstance(regions.table, pd.DataFrame)
