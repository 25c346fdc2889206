"""Maps, means and occupancy, against counting by hand."""

import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.group.crops import observations, read_observation
from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import Tally, probability_maps, wilson_interval
from spinalprep.group.means import MeanImage, mean_image, scale_to_cord
from spinalprep.group.occupancy import (
    add_image_volumes,
    bootstrap_mean,
    measure_occupancy,
    summarise_occupancy,
)
from spinalprep.group.regions import build_regions
from spinalprep.group.sums import Masks, accumulate
from spinalprep.group.volumes import read_on_grid
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


def test_bootstrap_interval_is_scipy_s_where_everybody_is_known() -> None:
    values = np.random.default_rng(3).exponential(1, (30, 4))
    mean, low, high = bootstrap_mean(values, 0, rounds=20_000)
    oracle = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1)
    ends = oracle.confidence_interval
    width = ends.high - ends.low
    np.testing.assert_allclose(mean, values.mean(axis=0))
    assert (np.abs(low - ends.low) < 0.03 * width).all()
    assert (np.abs(high - ends.high) < 0.03 * width).all()


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


def test_regions_without_an_atlas_are_levels() -> None:
    domain = make_domain()
    regions = build_regions(domain, np.full(domain.size, 8), {8: "T1"})
    assert set(regions.table["kind"]) == {"cord"}
    assert regions.table["levels"].tolist() == ["all", "T1-T6", "T1"]
    assert isinstance(regions.table, pd.DataFrame)


@dataclass(frozen=True)
class Person:
    """Somebody's volumes in a folder."""

    name: str
    folder: Path
    soft: Path | None = None

    @property
    def coverage(self) -> Path:
        return self.folder / f"{self.name}_coverage.nii.gz"

    @property
    def lesion(self) -> Path:
        return self.folder / f"{self.name}_lesion.nii.gz"

    @property
    def image(self) -> Path | None:
        return self.folder / f"{self.name}_image.nii.gz"

    def write(self, domain: Domain, seed: int) -> None:
        rng = np.random.default_rng(seed)
        volumes = {
            self.coverage: (rng.random(domain.shape) < 0.8).astype(np.uint8),
            self.lesion: (rng.random(domain.shape) < 0.3).astype(np.uint8),
            self.image: rng.normal(100, 10, domain.shape).astype(np.float32),
        }
        if self.soft is not None:
            volumes[self.soft] = rng.random(domain.shape).astype(np.float32)
        for path, data in volumes.items():
            nib.nifti1.Nifti1Image(data, domain.affine).to_filename(path)


def people(folder: Path, domain: Domain, count: int) -> list[Person]:
    found = [
        Person(f"sub-{n}", folder, folder / f"{n}_soft.nii.gz" if n % 2 else None)
        for n in range(count)
    ]
    for n, person in enumerate(found):
        person.write(domain, n)
    return found


def assert_same(one: Observation, other: Observation) -> None:
    np.testing.assert_array_equal(one.covered, other.covered)
    np.testing.assert_array_equal(one.lesion, other.lesion)
    assert (one.soft is None) == (other.soft is None)
    if one.soft is not None:
        np.testing.assert_array_equal(one.soft, other.soft)
    assert one.outside_mm3 == other.outside_mm3


def test_a_crop_is_what_the_volumes_say_and_is_read_once(tmp_path: Path) -> None:
    domain, kept = make_domain(), tmp_path / "kept"
    person = people(tmp_path, domain, 2)[1]
    first, known = read_observation(person, domain, kept)
    assert not known
    lesion = np.asarray(nib.loadsave.load(person.lesion).dataobj)
    covered = np.asarray(nib.loadsave.load(person.coverage).dataobj)
    np.testing.assert_array_equal(first.covered, domain.take(covered) > 0)
    np.testing.assert_array_equal(first.lesion, (domain.take(lesion) > 0) & first.covered)
    outside = int(lesion.sum()) - int(domain.take(lesion).sum())
    assert first.outside_mm3 == pytest.approx(outside * 0.125)
    again, known = read_observation(person, domain, kept)
    assert known
    assert_same(first, again)
    (crop,) = kept.iterdir()
    crop.write_bytes(b"cut")  # a broken crop is made anew
    again, known = read_observation(person, domain, kept)
    assert not known
    assert_same(first, again)
    person.write(domain, 9)  # other content: another crop, and the old one goes
    changed, known = read_observation(person, domain, kept)
    assert not known
    assert (changed.lesion != first.lesion).any()
    assert len(list(kept.iterdir())) == 1
    nib.nifti1.Nifti1Image(lesion, 2 * domain.affine).to_filename(person.lesion)
    with pytest.raises(InputError, match="not on the template's grid"):
        read_observation(person, domain, kept)


def test_reading_ahead_keeps_the_order(tmp_path: Path) -> None:
    domain = make_domain()
    group = people(tmp_path, domain, 5)
    alone = [person for person, _ in observations(group, domain, tmp_path / "a")]
    ahead = list(observations(group, domain, tmp_path / "b", workers=2))
    assert [known for _, known in ahead] == [False] * 5
    for one, (other, _) in zip(alone, ahead, strict=True):
        assert_same(one, other)


def test_sums_are_those_of_each_group(tmp_path: Path) -> None:
    domain = make_domain()
    regions = build_regions(domain, np.full(domain.size, 8), {8: "T1"})
    rng = np.random.default_rng(4)
    shown = [Observation(rng.random(24) < 0.8, rng.random(24) < 0.3) for _ in range(6)]
    groups = {"all": np.arange(6), "MS": np.array([0, 2]), "HC": np.array([1, 3, 5])}
    masks = Masks.on_disk(tmp_path, 6, domain.size)
    assert list(tmp_path.iterdir()) == []  # the files have no name
    sums = accumulate(shown, domain, regions, groups, masks)
    for name, rows in groups.items():
        tally = sums.tallies[name]
        assert tally.people == len(rows)
        np.testing.assert_array_equal(
            tally.covering, sum(shown[n].covered.astype(int) for n in rows)
        )
    np.testing.assert_array_equal(masks.searched, [p.covered for p in shown])
    np.testing.assert_array_equal(masks.lesions, [p.lesion & p.covered for p in shown])
    assert sums.values("occupancy").shape == (6, len(regions.table))
    assert sums.facts["covered_share"].tolist() == [float(p.covered.mean()) for p in shown]


def test_a_mean_image_goes_on_from_who_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain, kept = make_domain(), tmp_path / "work" / "mean.npz"
    group = people(tmp_path, domain, 4)
    whole = mean_image(group, domain, kept, 1)
    cord = domain.put(np.ones(domain.size), 0) > 0
    expected = []
    for person in group:
        seen = np.asarray(nib.loadsave.load(person.coverage).dataobj) > 0
        image = np.asarray(nib.loadsave.load(str(person.image)).dataobj)
        expected.append(np.where(seen, image, np.nan) / np.median(image[seen & cord]))
    inside = domain.take(whole)
    np.testing.assert_allclose(
        inside, np.nanmean([domain.take(one) for one in expected], axis=0), rtol=1e-5
    )
    read: list[Path] = []
    from spinalprep.group import means

    original = means.read_on_grid
    monkeypatch.setattr(means, "read_on_grid", lambda p, d: (read.append(p), original(p, d))[1])
    np.testing.assert_array_equal(mean_image(group, domain, kept, 1), whole)
    assert read == []
    late = Person("sub-late", tmp_path)
    late.write(domain, 7)
    mean_image([*group, late], domain, kept, 1)
    assert set(read) == {late.image, late.coverage}
    read.clear()
    mean_image(group[:3], domain, kept, 1)  # somebody left: a sum can't forget
    assert len(read) == 6


def test_occupancy_says_nothing_of_few_people() -> None:
    domain = make_domain()
    regions = build_regions(domain, np.full(domain.size, 8), {8: "T1"})
    values = np.full((5, len(regions.table)), 0.5)
    values[:3, 0] = np.nan
    found = summarise_occupancy(regions, values, values, 3, 0)
    assert found["n"].tolist() == [2, 5, 5]
    assert np.isnan(found.loc[0, ["occupancy_mean", "people_share"]].astype(float)).all()
    assert found.loc[1, "occupancy_mean"] == 0.5
    assert found["people_with_lesion"].tolist() == [2, 5, 5]


def test_volumes_in_the_image_are_those_of_all_lesions_on_both_sides() -> None:
    own = pd.DataFrame({"levels": ["all", "C3"], "kind": "cord", "region": "cord"})
    rows = [("C3", "both", "all", 7.0), ("C3", "left", "all", 3.0), ("C3", "both", "1", 2.0)]
    image = pd.DataFrame(rows, columns=["vertebral_level", "side", "lesion", "lesion_mm3"])
    image = image.assign(kind="cord", region="cord", region_mm3=100.0)
    found = add_image_volumes(own, image)
    assert found["lesion_mm3_image"].tolist()[1:] == [7.0]
    assert np.isnan(found["lesion_mm3_image"][0])
    assert add_image_volumes(own, None)["region_mm3_image"].isna().all()


def test_who_was_not_searched_covers_and_says_nothing_of_lesions(tmp_path: Path) -> None:
    domain = make_domain()
    everywhere, nowhere = np.ones(24, bool), np.zeros(24, bool)
    people = [Observation(everywhere, everywhere), Observation(everywhere, None)]
    tally = Tally.empty(24)
    for person in people:
        tally.add(person)
    maps = probability_maps(tally, min_n=1)
    np.testing.assert_array_equal(maps.probability, 1.0)
    np.testing.assert_array_equal(maps.coverage, 1.0)
    assert np.isnan(probability_maps(tally, min_n=2).probability).all()
    regions = build_regions(domain, np.full(domain.size, 8), {8: "T1"})
    masks = Masks.on_disk(tmp_path, 2, 24)
    sums = accumulate(people, domain, regions, {"all": np.arange(2)}, masks)
    np.testing.assert_array_equal(masks.searched, [everywhere, nowhere])
    assert sums.facts["lesion_mm3_template"].isna().tolist() == [False, True]
    assert np.isnan(sums.values("occupancy")[1]).all()
    assert np.isfinite(sums.values("occupancy")[0]).all()


def test_the_crop_of_who_was_not_searched_is_kept_too(tmp_path: Path) -> None:
    class Unsearched(Person):
        lesion = None  # type: ignore[assignment]

    domain = make_domain()
    people(tmp_path, domain, 1)
    person = Unsearched("sub-0", tmp_path)
    first, known = read_observation(person, domain, tmp_path / "kept")
    again, kept = read_observation(person, domain, tmp_path / "kept")
    assert (known, kept) == (False, True)
    assert first.lesion is None
    assert again.lesion is None
    np.testing.assert_array_equal(first.covered, again.covered)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j])
def test_a_volume_of_undefined_values_is_refused(tmp_path: Path, value: complex) -> None:
    domain = make_domain()
    data = np.full(domain.shape, value, np.complex64 if value == 1j else np.float32)
    nib.Nifti1Image(data, domain.affine).to_filename(tmp_path / "odd.nii.gz")
    with pytest.raises(InputError, match="holds NaN or no plain numbers"):
        read_on_grid(tmp_path / "odd.nii.gz", domain)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "odd.nii.gz")
    with pytest.raises(InputError, match="it is no file"):
        read_on_grid(tmp_path / "odd.nii.gz", make_domain())
