"""Names of outputs: the contract as a table, and properties of all of them."""

import re
from pathlib import Path

import pytest
from bidsschematools import schema
from hypothesis import given
from hypothesis import strategies as st

from spinalprep.bids.derivative_kinds import NATIVE, OUTPUTS, TEMPLATE, Kind, Output
from spinalprep.bids.derivative_names import output_path, transform_path
from spinalprep.bids.names import ENTITY_ORDER, derivative_path, output_prefix, parse_name
from spinalprep.bids.session import Scan
from spinalprep.errors import DefectError

OUT = Path("out")


def scan(name: str) -> Scan:
    entities, contrast, _ = parse_name(name)
    participant, session = entities.pop("sub"), entities.pop("ses", None)
    folder = f"sub-{participant}" + (f"/ses-{session}" if session else "")
    relative = f"{folder}/anat/{name}.nii.gz"
    return Scan(Path("raw"), relative, participant, session, contrast, entities)


T2W = scan("sub-01_T2w")
T1W = scan("sub-01_T1w")
MT_ON = scan("sub-x_flip-1_mt-on_MTS")
MT_OFF = scan("sub-x_flip-2_mt-off_MTS")
BARE_MTS = scan("sub-x_mt-on_MTS")
LONG = scan("sub-01_ses-02_acq-sag_run-1_T2w")
CHUNK = scan("sub-01_chunk-2_T2w")

# (key, image, reference, what the contract calls it)
CONTRACT: list[tuple[Kind, Scan, Scan, str]] = [
    ("preproc", T2W, T2W, "sub-01_desc-preproc_T2w.nii.gz"),
    ("preproc", T1W, T2W, "sub-01_desc-preproc_T1w.nii.gz"),
    ("preproc_reference", T1W, T2W, "sub-01_space-T2w_desc-preproc_T1w.nii.gz"),
    ("preproc_template", T2W, T2W, "sub-01_space-PAM50_desc-preproc_T2w.nii.gz"),
    ("cord", T2W, T2W, "sub-01_space-T2w_label-SC_mask.nii.gz"),
    ("cord_probability", T2W, T2W, "sub-01_space-T2w_label-SC_probseg.nii.gz"),
    ("cord_uncertainty", T2W, T2W, "sub-01_space-T2w_label-SC_desc-uncertainty_probseg.nii.gz"),
    ("template_cord", T2W, T2W, "sub-01_space-T2w_label-SC_desc-template_mask.nii.gz"),
    ("gm_probability", T2W, T2W, "sub-01_space-T2w_label-GM_probseg.nii.gz"),
    ("centerline", T2W, T2W, "sub-01_space-T2w_label-centerline_mask.nii.gz"),
    ("lesion", T2W, T2W, "sub-01_space-T2w_label-lesion_mask.nii.gz"),
    ("lesion_probability", T2W, T2W, "sub-01_space-T2w_label-lesion_probseg.nii.gz"),
    ("lesions", T2W, T2W, "sub-01_space-T2w_seg-lesions_dseg.nii.gz"),
    ("lesions_lookup", T2W, T2W, "sub-01_space-T2w_seg-lesions_dseg.tsv"),
    ("lumbar", T2W, T2W, "sub-01_space-T2w_seg-lumbar_dseg.nii.gz"),
    ("lumbar_lookup", T2W, T2W, "sub-01_space-T2w_seg-lumbar_dseg.tsv"),
    ("lumbar_probability", T2W, T2W, "sub-01_space-T2w_seg-lumbar_probseg.nii.gz"),
    ("lumbar_table", T2W, T2W, "sub-01_space-T2w_seg-lumbar_morph.tsv"),
    ("vertebrae", T2W, T2W, "sub-01_space-T2w_seg-vertebrae_dseg.nii.gz"),
    ("discs", T2W, T2W, "sub-01_space-T2w_seg-discs_dseg.nii.gz"),
    ("spinal_levels", T2W, T2W, "sub-01_space-T2w_atlas-PAM50_seg-spinallevels_dseg.nii.gz"),
    ("tracts", T2W, T2W, "sub-01_space-T2w_atlas-PAM50_seg-tracts_probseg.nii.gz"),
    ("cord_template", T2W, T2W, "sub-01_space-PAM50_label-SC_mask.nii.gz"),
    ("lesion_template", T2W, T2W, "sub-01_space-PAM50_label-lesion_mask.nii.gz"),
    ("lesion_probability_template", T2W, T2W, "sub-01_space-PAM50_label-lesion_probseg.nii.gz"),
    ("coverage_template", T2W, T2W, "sub-01_space-PAM50_desc-coverage_mask.nii.gz"),
    ("template_slices", T2W, T2W, "sub-01_space-PAM50_label-SC_desc-perslice_morph.tsv"),
    ("perslice", T2W, T2W, "sub-01_space-T2w_label-SC_desc-perslice_morph.tsv"),
    ("perlevel", T2W, T2W, "sub-01_space-T2w_label-SC_desc-perlevel_morph.tsv"),
    ("lesion_table", T2W, T2W, "sub-01_space-T2w_label-lesion_morph.tsv"),
    ("qc", T2W, T2W, "sub-01_desc-auto_qc.tsv"),
    # sessions, acquisitions, runs, chunks are copied
    ("preproc", LONG, LONG, "sub-01_ses-02_acq-sag_run-1_desc-preproc_T2w.nii.gz"),
    ("cord", LONG, LONG, "sub-01_ses-02_acq-sag_run-1_space-T2w_label-SC_mask.nii.gz"),
    ("qc", LONG, LONG, "sub-01_ses-02_acq-sag_run-1_desc-auto_qc.tsv"),
    ("cord", CHUNK, CHUNK, "sub-01_space-T2w_chunk-2_label-SC_mask.nii.gz"),
    # mt- and flip- stay on images
    ("preproc", MT_ON, MT_ON, "sub-x_flip-1_mt-on_desc-preproc_MTS.nii.gz"),
    ("preproc", BARE_MTS, BARE_MTS, "sub-x_flip-1_mt-on_desc-preproc_MTS.nii.gz"),
    ("preproc_reference", MT_OFF, MT_ON, "sub-x_flip-2_mt-off_space-MTS_desc-preproc_MTS.nii.gz"),
    ("cord", MT_ON, MT_ON, "sub-x_space-MTS_label-SC_mask.nii.gz"),
    ("perslice", MT_ON, MT_ON, "sub-x_space-MTS_label-SC_desc-perslice_morph.tsv"),
    ("lesions", BARE_MTS, BARE_MTS, "sub-x_space-MTS_seg-lesions_dseg.nii.gz"),
]


@pytest.mark.parametrize(("key", "image", "reference", "name"), CONTRACT)
def test_names_are_those_of_the_contract(
    key: Kind, image: Scan, reference: Scan, name: str
) -> None:
    path = output_path(OUT, key, image, reference)
    session = f"ses-{image.session}" if image.session else ""
    assert path == OUT / f"sub-{image.participant}" / session / "anat" / name


def test_the_automatic_result_is_kept_under_another_name() -> None:
    path = output_path(OUT, "cord", T2W, T2W, auto=True)
    assert path.name == "sub-01_space-T2w_label-SC_desc-auto_mask.nii.gz"


def test_the_embedded_template_has_its_own_space() -> None:
    path = output_path(OUT, "spinal_levels", T2W, T2W, template="Generic")
    assert path.name == "sub-01_space-T2w_atlas-Generic_seg-spinallevels_dseg.nii.gz"
    path = output_path(OUT, "cord_template", T2W, T2W, template="Generic")
    assert path.name == "sub-01_space-Generic_label-SC_mask.nii.gz"


@pytest.mark.parametrize(
    ("moving", "fixed", "inverse", "name"),
    [
        (T1W, T2W, False, "sub-01_from-T1w_to-T2w_mode-image_xfm.txt"),
        (T1W, T2W, True, "sub-01_from-T2w_to-T1w_mode-image_xfm.txt"),
        (T2W, "PAM50", False, "sub-01_from-T2w_to-PAM50_mode-image_xfm.txt"),
        (T2W, "PAM50", True, "sub-01_from-PAM50_to-T2w_mode-image_xfm.txt"),
        (MT_ON, "PAM50", False, "sub-x_from-MTS_to-PAM50_mode-image_xfm.txt"),
        (MT_ON, scan("sub-x_T2w"), False, "sub-x_from-MTS_to-T2w_mode-image_xfm.txt"),
    ],
)
def test_transforms_say_what_they_resample(
    moving: Scan, fixed: Scan | str, inverse: bool, name: str
) -> None:
    assert transform_path(OUT, moving, fixed, ".txt", inverse=inverse).name == name


@pytest.mark.parametrize(
    ("moving", "fixed"),
    [
        (MT_OFF, MT_ON),
        (scan("sub-x_flip-2_mt-on_MTS"), MT_ON),
        (scan("sub-01_acq-ax_T2w"), scan("sub-01_acq-sag_T2w")),
        (scan("sub-01_T2w"), scan("sub-01_acq-sag_T2w")),
        (scan("sub-01_acq-ax_run-2_T2w"), scan("sub-01_acq-sag_run-1_T2w")),
    ],
)
def test_a_transform_within_a_contrast_differs_from_its_inverse(moving: Scan, fixed: Scan) -> None:
    forward = transform_path(OUT, moving, fixed, ".txt")
    assert forward != transform_path(OUT, moving, fixed, ".txt", inverse=True)
    assert f"_to-{fixed.contrast}_" in forward.name


def test_two_mts_images_never_share_a_transform() -> None:
    pulses = ["flip-1_mt-on", "flip-1_mt-off", "flip-2_mt-on", "flip-2_mt-off"]
    fixed = scan("sub-x_T2w")
    scans = [scan(f"sub-x_{pulse}_MTS") for pulse in pulses]
    assert len({transform_path(OUT, moving, fixed, ".txt") for moving in scans}) == len(scans)


def test_bad_labels_are_our_defect() -> None:
    with pytest.raises(DefectError, match="desc-'a_b' is not a BIDS label"):
        derivative_path(OUT, T2W, suffix="mask", desc="a_b")
    with pytest.raises(DefectError, match="dseg takes no label-"):
        Output("spleen", "dseg", label="spleen")
    with pytest.raises(DefectError, match="no output 'spleen'"):
        output_path(OUT, "spleen", T2W, T2W)  # type: ignore[arg-type]
    for kind, name in (("metric", None), ("cord", "FA")):
        with pytest.raises(DefectError, match=f"{kind}: got the name {name!r}"):
            output_path(OUT, kind, T2W, name=name)  # type: ignore[arg-type]


def test_the_order_of_entities_is_that_of_bids() -> None:
    bids = schema.load_schema()
    official = [bids.objects.entities[name]["name"] for name in bids.rules.entities]
    ours = [entity for entity in ENTITY_ORDER if entity in official]
    assert ours == official


WORDS = st.from_regex(r"[0-9A-Za-z]{1,6}", fullmatch=True)
COPIED = st.sampled_from(["acq", "ce", "rec", "run", "echo", "part", "chunk", "flip", "mt"])


@pytest.mark.slow
@given(
    participant=WORDS,
    session=st.none() | WORDS,
    contrast=st.sampled_from(["T1w", "T2w", "T2starw", "MTS"]),
    entities=st.dictionaries(COPIED, WORDS),
    key=st.sampled_from(sorted(OUTPUTS)),
)
def test_every_name_can_be_read_back(
    participant: str, session: str | None, contrast: str, entities: dict[str, str], key: Kind
) -> None:
    image = Scan(Path("raw"), "", participant, session, contrast, entities)
    path = output_path(OUT, key, image, name="FA" if OUTPUTS[key].named else None)
    assert re.fullmatch(r"[a-zA-Z0-9_.+-]+", path.name)
    read, suffix, extension = parse_name(path.name)
    assert read.pop("sub") == participant
    assert read.pop("ses", None) == session
    assert extension == OUTPUTS[key].extension
    assert (suffix == contrast) == (not OUTPUTS[key].suffix)
    assert list(read) == [entity for entity in ENTITY_ORDER if entity in read]
    dropped = set() if suffix == "MTS" else {"flip", "mt"}
    kept = {entity: value for entity, value in entities.items() if entity not in dropped}
    assert kept.items() <= read.items()
    assert not dropped & set(read)
    space = {NATIVE: None, TEMPLATE: "PAM50"}.get(OUTPUTS[key].space, contrast)
    assert read.get("space") == space


def test_the_prefix_begins_all_names_of_a_unit() -> None:
    assert output_prefix(LONG) == "sub-01_ses-02_acq-sag_run-1"
    assert output_prefix(MT_ON) == "sub-x"
    for key, output in OUTPUTS.items():
        path = output_path(OUT, key, LONG, name="FA" if output.named else None)
        assert path.name.startswith(output_prefix(LONG) + "_")
