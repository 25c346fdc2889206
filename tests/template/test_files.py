"""Templates are found where they should be, and broken ones are refused in one line."""

import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import TemplateError
from spinalprep.template import files
from spinalprep.template.checksums import record_checksums, verify_checksums
from spinalprep.template.files import read_template, resolve_template

SHARED = Path(os.environ.get("SPINALPREP_SHARED", Path(__file__).parents[3] / "shared"))
AFFINE = np.array([[-0.5, 0, 0, 5], [0, 0.5, 0, -5], [0, 0, 0.5, -20], [0, 0, 0, 1]])
TEMPLATEFLOW = {
    "template/PAM50_cord": "label-SC_mask",
    "template/PAM50_levels": "seg-vertebrae_dseg",
    "template/PAM50_label_disc": "seg-discs_dseg",
    "template/PAM50_t2": "T2w",
    "atlas/PAM50_atlas_00": "seg-tracts_label-00_probseg",
    "atlas/PAM50_atlas_01": "seg-tracts_label-01_probseg",
}


def write(path: Path, fill: int = 1, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.full((6, 6, 8), fill, np.uint8)
    data[0] = 0
    nib.nifti1.Nifti1Image(data, affine).to_filename(path)


def make_release(folder: Path, name: str = "PAM50") -> Path:
    for number, stem in enumerate(TEMPLATEFLOW):
        write(folder / f"{stem.replace('PAM50', name)}.nii.gz", number + 1)
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return make_release(tmp_path / "release")


def test_release_layout_is_read(release: Path) -> None:
    template = resolve_template(str(release), {})
    assert (template.name, template.release) == ("PAM50", None)
    assert template.discs == release / "template" / "PAM50_label_disc.nii.gz"
    assert [path.name[-9:-7] for path in template.atlas] == ["00", "01"]
    assert template.t2 is not None
    assert template.gm is None


def test_identity_follows_content_not_compression(release: Path, tmp_path: Path) -> None:
    before = read_template(release).identity
    cord = release / "template" / "PAM50_cord.nii.gz"
    cord.write_bytes(gzip.compress(gzip.decompress(cord.read_bytes()), 1, mtime=7))
    assert read_template(release).identity == before
    write(cord, 9)
    assert read_template(release).identity != before


@pytest.mark.parametrize("variable", ["TEMPLATEFLOW_HOME", "SCT_DIR", "SPINALPREP_CACHE"])
def test_pam50_is_found_where_the_environment_says(variable: str, tmp_path: Path) -> None:
    inside = {"TEMPLATEFLOW_HOME": "tpl-PAM50", "SCT_DIR": "data/PAM50"}.get(variable, "PAM50")
    make_release(tmp_path / inside)
    environ = {"HOME": str(tmp_path / "nobody"), variable: str(tmp_path)}
    for wanted in ("PAM50", None, "auto"):
        assert resolve_template(wanted, environ).folder == tmp_path / inside


def test_order_of_places(tmp_path: Path) -> None:
    make_release(tmp_path / "flow" / "tpl-PAM50")
    make_release(tmp_path / "sct" / "data" / "PAM50")
    environ = {"SCT_DIR": str(tmp_path / "sct"), "HOME": str(tmp_path)}
    assert resolve_template(None, environ).folder == tmp_path / "sct" / "data" / "PAM50"
    environ["TEMPLATEFLOW_HOME"] = str(tmp_path / "flow")
    assert resolve_template(None, environ).folder == tmp_path / "flow" / "tpl-PAM50"


def test_generic_serves_when_there_is_no_pam50(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    embedded = make_release(tmp_path / "template-Generic", "Generic")
    monkeypatch.setattr(files, "EMBEDDED", embedded)
    with caplog.at_level(logging.WARNING, "spinalprep"):
        template = resolve_template(None, {"HOME": str(tmp_path)})
    assert template.name == "Generic"
    assert "generic template" in caplog.text
    with pytest.raises(TemplateError, match="PAM50 was not found"):
        resolve_template("PAM50", {"HOME": str(tmp_path)})


@pytest.mark.parametrize("wanted", ["does-not-exist", "."])
def test_folder_without_template(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"does not exist|contains no template") as caught:
        resolve_template(tmp_path / wanted, {})
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 6


def test_template_folder_itself_gets_a_hint(release: Path) -> None:
    with pytest.raises(TemplateError, match=f"give {release}$"):
        resolve_template(release / "template", {})


@pytest.mark.parametrize("word", ["levels", "label_disc"])
def test_missing_file(word: str, release: Path) -> None:
    (release / "template" / f"PAM50_{word}.nii.gz").unlink()
    with pytest.raises(TemplateError, match=r"has no (levels|discs) file of PAM50"):
        read_template(release)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"/annex/objects/SHA256E-s1--ab.nii.gz\n", "git-annex"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "LFS"),
        (b"", "empty"),
        (b"no image", "can't be read"),
    ],
)
@pytest.mark.parametrize("stem", ["template/PAM50_cord", "template/PAM50_t2"])
def test_broken_file(stem: str, content: bytes, said: str, release: Path) -> None:
    (release / f"{stem}.nii.gz").write_bytes(content)
    with pytest.raises(TemplateError, match=said) as caught:
        read_template(release)
    assert "\n" not in str(caught.value)


def test_annex_link_and_cut_file(release: Path) -> None:
    cord = release / "template" / "PAM50_cord.nii.gz"
    whole = cord.read_bytes()
    cord.write_bytes(whole[:-12])
    with pytest.raises(TemplateError, match="can't be read"):
        read_template(release)
    cord.unlink()
    cord.symlink_to("../.git/annex/objects/xx/yy.nii.gz")
    with pytest.raises(TemplateError, match="git-annex link"):
        read_template(release)


def test_other_grid(release: Path) -> None:
    shifted = AFFINE.copy()
    shifted[1, 3] += 0.5
    write(release / "template" / "PAM50_label_disc.nii.gz", 3, shifted)
    with pytest.raises(TemplateError, match=r"PAM50_label_disc\.nii\.gz is on a different grid"):
        read_template(release)


def test_gap_in_the_atlas(release: Path) -> None:
    write(release / "atlas" / "PAM50_atlas_03.nii.gz")
    with pytest.raises(TemplateError, match=r"regions \[0, 1, 3\]"):
        read_template(release)


def test_checksums_are_verified(release: Path) -> None:
    assert not verify_checksums(release)
    record_checksums(release, "r20250730", "file:///somewhere.zip", "0" * 64)
    assert verify_checksums(release)
    assert read_template(release).release == "r20250730"
    write(release / "atlas" / "PAM50_atlas_01.nii.gz", 77)
    with pytest.raises(TemplateError, match="has changed since it was fetched"):
        read_template(release)
    (release / "checksums.json").write_text("[]")
    with pytest.raises(TemplateError, match="can't be read as checksums"):
        read_template(release)


def test_templateflow_names_offline_and_nothing_written(release: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "flow" / "tpl-PAM50"
    home.mkdir()
    folder.mkdir(parents=True)
    for stem, name in TEMPLATEFLOW.items():
        shutil.copy(release / f"{stem}.nii.gz", folder / f"tpl-PAM50_{name}.nii.gz")
    description = {"Name": "PAM50", "Version": "r20250730"}
    (folder / "template_description.json").write_text(json.dumps(description))
    before = sorted(tmp_path.rglob("*"))
    code = (
        "import os, socket\n"
        "socket.socket.connect = None\n"
        "from spinalprep.template.files import resolve_template\n"
        "t = resolve_template('PAM50', os.environ)\n"
        "print(t.identity, t.release, t.cord.name, t.t2.name, len(t.atlas), t.gm)\n"
    )
    environ = {"HOME": str(home), "TEMPLATEFLOW_HOME": str(folder.parent), "PATH": os.defpath}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", code]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    expected = read_template(release).identity
    names = "tpl-PAM50_label-SC_mask.nii.gz tpl-PAM50_T2w.nii.gz"
    assert told.stdout.split("\n")[0] == f"{expected} r20250730 {names} 2 None"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.data
def test_real_pam50() -> None:
    folder = SHARED / "data" / "PAM50"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    template = read_template(folder)
    assert (template.name, len(template.atlas), template.t2) == ("PAM50", 37, None)
    assert template.spinal_levels is not None
