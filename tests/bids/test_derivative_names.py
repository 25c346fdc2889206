"""A derivative's name, both ways, and that it is typed in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinalprep.bids.derivative_kinds import OUTPUTS, REFERENCE, TEMPLATE, Kind
from spinalprep.bids.derivative_names import (
    Derivative,
    find_outputs,
    mask_path,
    output_path,
    outputs_of,
    parse_derivative,
    plain_name,
)
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.names import CONTRASTS, ImageName

OUT = Path("out")
ROOT = Path(__file__).parents[2]
T2W = ImageName.of("sub-01_T2w.nii.gz")
WORDS = st.from_regex(r"[0-9A-Za-z]{1,6}", fullmatch=True)
COPIED = st.sampled_from(["acq", "ce", "rec", "run", "echo", "part", "chunk", "flip", "mt"])


def test_every_kind_has_an_output() -> None:
    assert get_args(Kind) == tuple(OUTPUTS)


@pytest.mark.slow
@given(
    image=st.builds(
        ImageName,
        WORDS,
        st.none() | WORDS,
        st.sampled_from(CONTRASTS),
        st.dictionaries(COPIED, WORDS),
    ),
    kind=st.sampled_from(get_args(Kind)),
    template=st.sampled_from(["PAM50", "Generic", "Mine2"]),
    auto=st.booleans(),
    name=WORDS,
)
def test_what_a_path_was_made_of_is_read_from_it(
    image: ImageName, kind: Kind, template: str, auto: bool, name: str
) -> None:
    output = OUTPUTS[kind]
    auto &= not output.named and output.desc != "auto"
    called = name if output.named else None
    path = output_path(OUT, kind, image, template=template, auto=auto, name=called)
    found = parse_derivative(path)
    assert found is not None
    assert (found.path, found.kind, found.auto, found.name) == (path, kind, auto, called)
    assert (found.image.participant, found.image.session) == (image.participant, image.session)
    assert found.is_of(image)
    told = image.contrast if not output.suffix or output.space == REFERENCE else ""
    assert found.image.contrast == told
    spaces = {REFERENCE: image.contrast, TEMPLATE: template}
    assert found.space == spaces.get(output.space)
    again = ImageName(image.participant, image.session, image.contrast, found.image.entities)
    assert output_path(OUT, kind, again, template=template, auto=auto, name=called) == path


def test_what_is_beside_an_image_stands_for_it() -> None:
    for kind, output in OUTPUTS.items():
        path = output_path(OUT, kind, T2W, name="FA" if output.named else None)
        found = parse_derivative(sidecar_path(path))
        assert found is not None
        assert found.kind == kind.removesuffix("_lookup")  # an image and its look-up share it


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_T2w.nii.gz",  # raw
        "sub-01_space-T2w_label-SC_mask.nii",
        "sub-01_space-T2w_label-spleen_mask.nii.gz",
        "sub-01_space-T2w_desc-mine_label-SC_mask.nii.gz",
        "sub-01_old_space-T2w_label-SC_mask.nii.gz",
        "sub-01_label-SC_space-T2w_mask.nii.gz",  # another order is somebody else's
        "sub-01_from-T1w_to-T2w_mode-image_xfm.txt",
        "tpl-PAM50_label-lesion_probseg.nii.gz",
        "status.tsv",
    ],
)
def test_other_names_are_no_output(name: str) -> None:
    assert parse_derivative(Path(name)) is None


def test_a_mask_on_another_image_s_grid_is_a_mask_of_the_reference_s_outputs() -> None:
    image = ImageName.of("sub-01_flip-1_mt-off_MTS.nii.gz")
    path = mask_path(OUT, "lesion", image, T2W)
    assert path == OUT / "sub-01/anat/sub-01_space-MTSmtoff_label-lesion_mask.nii.gz"
    found = parse_derivative(path)
    assert found == Derivative(path, "lesion", ImageName("01", None, "", {}), "MTSmtoff")


def test_a_file_without_a_dataset_has_the_same_ending() -> None:
    assert plain_name("Mr X", "cord") == "Mr X_label-SC_mask.nii.gz"
    assert plain_name("Mr X", "perslice") == "Mr X_label-SC_desc-perslice_morph.tsv"


def test_outputs_are_found_by_whose_they_are(tmp_path: Path) -> None:
    names = ("sub-01_run-1_T2w", "sub-01_run-2_T2w", "sub-01_flip-1_mt-on_MTS", "sub-02_ses-a_T2w")
    images = [ImageName.of(name) for name in names]
    written = {}
    for image in images:
        for kind, name in (("preproc", None), ("cord", None), ("metric", "FA"), ("metric", "MD")):
            path = output_path(tmp_path, kind, image, name=name)  # type: ignore[arg-type]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            sidecar_path(path).touch()
            written.setdefault(image.contrast + str(image.entities), []).append(path)
    (tmp_path / "sub-01" / "anat" / "sub-01_run-1_desc-mine_T2w.nii.gz").touch()
    for image in images:
        own = outputs_of(tmp_path, image)
        assert [o.kind for o in own if o.kind == "metric"] == ["metric", "metric"]
        assert {o.image.participant for o in own} == {image.participant}
        assert len(own) == 4
    assert [o.name for o in outputs_of(tmp_path, images[0]) if o.name] == ["FA", "MD"]
    cords = find_outputs(tmp_path, "cord", sidecars=True)
    assert [o.image.participant for o in cords] == ["01", "01", "01", "02"]
    assert all(o.path.suffix == ".json" for o in cords)
    assert len(find_outputs(tmp_path, "preproc")) == 4


# names that are read, not written: what people and other programs call their files
OTHERS = ("bids/labels.py", "template/layout.py", "normative/people.py")
HOME = ("bids/derivative_kinds.py", "bids/group_names.py")
SUFFIXES = "mask|probseg|dseg|morph|qc|metric|statmap|xfm"
LABELS = "SC|GM|lesion|centerline"
DESCS = "preproc|auto|uncertainty|template|coverage|perslice|perlevel|perregion|total"
TYPED = re.compile(
    rf"_({SUFFIXES})(\.|$)|^(probseg|dseg|statmap|MTRmap)$"
    rf"|label-({LABELS})_|seg-(lesions|vertebrae|discs|spinallevels|tracts)_|desc-({DESCS})_"
)


def literals(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_a_name_is_typed_once() -> None:
    typed = {
        path.relative_to(ROOT / room).as_posix(): found
        for room in ("spinalprep", "interfaces", "workflows")
        for path in sorted((ROOT / room).rglob("*.py"))
        if (found := [text for text in literals(path) if " " not in text and TYPED.search(text)])
    }
    assert set(HOME) <= set(typed)  # it looks
    assert {k: v for k, v in typed.items() if k not in (*HOME, *OTHERS)} == {}
