"""The digital cohort: maps of it recover what was planted, and say nothing where nobody looked."""

from pathlib import Path

import numpy as np
import pytest

from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import Tally, probability_maps
from spinalprep.image import load
from spinalprep.phantom.cohort import COHORTS, write_cohort
from spinalprep.template.files import resolve_template

pytestmark = pytest.mark.slow

PEOPLE, MIN_N = 80, 20


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "bids"
    return write_cohort(folder, resolve_template("Generic"), PEOPLE, truth_people=2000)


@pytest.mark.parametrize("first", [0, 1])
def test_maps_recover_the_planted_probability_where_covered(cohort: Path, first: int) -> None:
    domain = Domain.of(load(resolve_template("Generic").cord))
    tally = Tally.empty(domain.size)
    shares, expected = [], []
    truth = cohort / "derivatives" / "truth"
    name = f"cohort-{COHORTS[first]}_space-Generic_label-lesion_probseg.nii.gz"
    planted = domain.take(load(truth / name).data)
    for n in range(first, PEOPLE, 2):
        stem = f"sub-{n + 1:04d}"
        anat = cohort / "derivatives" / "spinalprep" / stem / "anat" / f"{stem}_space-Generic"
        if not Path(f"{anat}_label-lesion_mask.nii.gz").is_file():
            continue
        covered, lesion = (
            domain.take(load(Path(f"{anat}_{end}.nii.gz")).data) > 0
            for end in ("desc-coverage_mask", "label-lesion_mask")
        )
        assert not (lesion & ~covered).any()
        tally.add(Observation(covered, lesion, None))
        shares.append(lesion.sum())
        expected.append(planted[covered].sum())
    maps = probability_maps(tally, MIN_N)
    known = tally.covering >= MIN_N
    np.testing.assert_array_equal(np.isfinite(maps.probability), known)
    assert (~known).any()
    apart = np.array(shares) - np.array(expected)  # voxels with a lesion, person by person
    assert abs(apart.mean()) < 3.5 * apart.std(ddof=1) / np.sqrt(len(apart))
    inside = (maps.lower <= planted) & (planted <= maps.upper)
    assert inside[known].mean() > 0.85


def test_cohorts_differ_where_it_was_planted_only(cohort: Path) -> None:
    truth = cohort / "derivatives" / "truth"
    sick, other = (
        load(truth / f"cohort-{name}_space-Generic_label-lesion_probseg.nii.gz").data
        for name in COHORTS
    )
    centres = load(truth / "space-Generic_label-planted_mask.nii.gz").data > 0
    assert centres.any()
    assert (sick - other)[centres].mean() > 0.05
    heights = np.flatnonzero(centres.any(axis=(0, 1)))
    cord = load(resolve_template("Generic").cord)
    reach = int(np.ceil(6.0 / cord.voxel_sizes[2])) + 1
    far = np.ones(cord.data.shape[2], bool)
    far[max(heights.min() - reach, 0) : heights.max() + reach + 1] = False
    assert far.any()
    assert np.abs(sick - other)[:, :, far].max() < 0.05  # both are shares of 2,000
