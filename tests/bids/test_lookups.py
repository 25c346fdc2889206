"""Tables beside labels that say which value is the structure."""

import json
from pathlib import Path

import pytest

from spinalprep.bids.lookups import label_value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("index\tname\n1\tspinal canal\n2\tspinal cord\n", 2),
        ("name\tindex\nSpinal_Cord\t4\nGM\t5\n", 4),
        ("index\tname\n1\tSC\n2\tcord\n", None),  # two names for it
        ("index\tname\n1\tcanal\n", None),
        ("index\tname\none\tcord\n", None),
        ("", None),
    ],
)
def test_a_table_names_the_cord(tmp_path: Path, content: str, value: int | None) -> None:
    (tmp_path / "sub-01_T2w_label-SC_mask.tsv").write_text(content)
    label = tmp_path / "sub-01_T2w_label-SC_mask.nii.gz"
    assert label_value(label, "cord") == value
    assert label_value(label, "cord", {"cord": 7, "gm": 8}) == (value or 7)  # where nothing says so


@pytest.mark.parametrize("content", ["[1]", "{", '{"LabelMap": 3}', '{"LabelMap": null}'])
def test_a_sidecar_names_grey_matter_or_is_of_no_use(tmp_path: Path, content: str) -> None:
    sidecar, label = tmp_path / "a_gmseg-manual.json", tmp_path / "a_gmseg-manual.nii.gz"
    sidecar.write_text(json.dumps({"LabelMap": {"1": "white matter", "2": "gray matter"}}))
    assert (label_value(label, "gm"), label_value(label, "cord")) == (2, None)
    sidecar.write_text(content)
    assert label_value(label, "gm") is None


def test_a_value_of_more_digits_than_python_converts_is_none(tmp_path: Path) -> None:
    (tmp_path / "a_seg-manual.json").write_text('{"LabelMap": {"%s": "cord"}}' % ("9" * 5000))
    assert label_value(tmp_path / "a_seg-manual.nii.gz", "cord") is None
