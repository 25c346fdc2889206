"""Names of the group level, both ways."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinalprep.bids.group_names import (
    MAPS,
    GroupMap,
    MapKind,
    TableKind,
    map_path,
    parse_map,
    table_path,
)
from spinalprep.bids.names import ImageName
from spinalprep.errors import DefectError

OUT = Path("out")
WORDS = st.from_regex(r"[0-9A-Za-z]{1,6}", fullmatch=True)
PULSE = ImageName.of("sub-1_flip-1_mt-on_space-PAM50_desc-preproc_MTS.nii.gz")
CONTRACT: list[tuple[MapKind, str]] = [
    ("probability", "tpl-PAM50_label-lesion_probseg.nii.gz"),
    ("coverage", "tpl-PAM50_label-SC_desc-coverage_probseg.nii.gz"),
    ("lower", "tpl-PAM50_label-lesion_desc-lower_probseg.nii.gz"),
    ("upper", "tpl-PAM50_label-lesion_desc-upper_probseg.nii.gz"),
    ("soft", "tpl-PAM50_label-lesion_desc-soft_probseg.nii.gz"),
    ("mean", "tpl-PAM50_desc-mean_T2w.nii.gz"),
    ("t", "tpl-PAM50_desc-AvsB_stat-t_statmap.nii.gz"),
    ("p", "tpl-PAM50_desc-AvsB_stat-p_statmap.nii.gz"),
    ("effect", "tpl-PAM50_desc-AvsB_stat-effect_statmap.nii.gz"),
]


def written(kind: MapKind, template: str, cohort: str | None, name: str, image: ImageName) -> Path:
    output = MAPS[kind]
    return map_path(
        *(OUT, kind, template, cohort),
        name=name if output.named else None,
        image=None if output.suffix else image,
    )


@pytest.mark.parametrize(("kind", "name"), CONTRACT)
def test_names_are_those_of_the_contract(kind: MapKind, name: str) -> None:
    image = ImageName.of("sub-01_T2w.nii.gz")
    assert written(kind, "PAM50", None, "AvsB", image) == OUT / "tpl-PAM50" / "anat" / name
    named = name.replace("tpl-PAM50_", "tpl-PAM50_cohort-MS_")
    own = OUT / "tpl-PAM50" / "cohort-MS" / "anat" / named
    assert written(kind, "PAM50", "MS", "AvsB", image) == own


def test_the_contract_is_whole() -> None:
    assert get_args(MapKind) == tuple(MAPS)
    assert {kind for kind, _ in CONTRACT} == set(MAPS)


def test_the_mean_of_mts_says_its_pulse() -> None:
    path = map_path(OUT, "mean", "PAM50", image=PULSE)
    assert path.name == "tpl-PAM50_flip-1_mt-on_desc-mean_MTS.nii.gz"
    assert parse_map(path) == GroupMap(path, "mean", "PAM50", contrast="flip-1_mt-on_MTS")


@pytest.mark.slow
@given(
    kind=st.sampled_from(get_args(MapKind)),
    template=WORDS,
    cohort=st.none() | WORDS,
    name=WORDS,
    contrast=st.sampled_from(["T2w", "T1w", "T2starw"]),
)
def test_what_a_path_was_made_of_is_read_from_it(
    kind: MapKind, template: str, cohort: str | None, name: str, contrast: str
) -> None:
    path = written(kind, template, cohort, name, ImageName("01", None, contrast, {}))
    output = MAPS[kind]
    named, told = name if output.named else None, "" if output.suffix else contrast
    assert parse_map(path) == GroupMap(path, kind, template, cohort, named, told)


def test_what_is_no_map_is_none() -> None:
    for name in ("sub-01_T2w.nii.gz", "tpl-PAM50_label-GM_probseg.nii.gz", "tpl-PAM50_T2w.nii.gz"):
        assert parse_map(Path(name)) is None
    with pytest.raises(DefectError, match="t: got name None"):
        map_path(OUT, "t", "PAM50")
    with pytest.raises(DefectError, match="mean: got"):
        map_path(OUT, "mean", "PAM50", name="a")


def test_tables_are_those_of_the_contract() -> None:
    names = {table_path(OUT, kind).name for kind in get_args(TableKind)}
    listed = {"group_morph.tsv", "group_lesions.tsv", "group_tracts.tsv", "group_qc.tsv"}
    assert listed <= names
