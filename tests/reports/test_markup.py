"""Markup in names, tables and messages is text in a browser: nothing runs, no element comes of it.

Each page is opened twice, with plain words and with the same words followed by markup; both have to
consist of the same elements, and the markup has to be read as it was written.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.bids.group_names import map_path
from spinalprep.bids.status import Status, write_status
from spinalprep.image import Image, save
from spinalprep.reports.facts import (
    CoregFacts,
    FailureFacts,
    LabelFacts,
    ModelFacts,
    ReportFacts,
    SessionRunFacts,
)
from spinalprep.reports.group import GroupFacts, write_group_report
from spinalprep.reports.participant import write_participant_report
from spinalprep.reports.viewer import write_viewer

pytestmark = pytest.mark.slow

IN_NAMES = "\"'><img src=x onerror=alert(2)><b class=foreign onclick=alert(3)>"  # no slash
MARKUP = f"\"'></title></style></script>--><script>alert(1)</script>{IN_NAMES}&lt;"
SHORT = "<u onclick=a()>"  # where only the beginning is shown
SHAPE, AFFINE = (40, 40, 8), np.diag([-1.0, 1.0, 2.0, 1.0])
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
LOOK = """
await until(() => document.readyState === "complete");
if (document.getElementById("scene"))
  await until(() => document.body.dataset.ready || document.querySelector("[role=alert]"));
await new Promise((go) => setTimeout(go, 300));
const elements = [...document.querySelectorAll("*")], tags = {};
elements.forEach((element) => { tags[element.tagName] = (tags[element.tagName] || 0) + 1; });
const attributes = elements.flatMap((element) => [...element.attributes]);
const kept = document.documentElement.cloneNode(true);
kept.querySelectorAll("script, style").forEach((element) => element.remove());
return {
  tags,
  handlers: attributes.filter((attribute) => attribute.name.startsWith("on")).length,
  foreign: document.querySelectorAll(".foreign, img[src=x], a[href^='javascript:']").length,
  text: [kept.textContent, ...attributes.map((attribute) => attribute.value)].join("\\n"),
};"""


def words(*names: str, markup: str) -> dict[str, str]:
    return {name: f"word{name}{markup}" for name in names}


def compare(plain: Path, hostile: Path, drive: Any, *flags: str) -> str:
    """Check the elements of two pages, and return the text of the second."""
    expected, _ = drive(plain, LOOK, *flags)
    told, _ = drive(hostile, LOOK, *flags)
    assert "failed" not in told, told
    assert told["seen"] == []  # alerts, errors, and what the page's policy blocked
    assert told["fetched"] == []
    assert (told["foreign"], told["handlers"]) == (0, 0)
    assert told["tags"] == expected["tags"]
    return str(told["text"])


def missing(text: str, said: dict[str, str]) -> list[str]:
    return [name for name, value in said.items() if value not in text]


def test_markup_that_is_not_escaped_would_be_seen(tmp_path: Path, drive: Any) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<title>{MARKUP}</title><body><p>{MARKUP}</p></body>")
    told, _ = drive(page, LOOK)
    assert {"alert 1", "alert 2"} <= set(told["seen"])
    assert told["foreign"] > 0
    assert told["handlers"] > 0


def person(root: Path, markup: str) -> tuple[str, ReportFacts, dict[str, str]]:
    """Write the outputs of a person; return the label, the facts, and what has to be read."""
    anat = root / "sub-01" / "anat"
    anat.mkdir(parents=True)
    cord, line = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    cord[17:24, 17:22], line[20, 19] = 1, 1
    lesion = np.zeros_like(cord)
    lesion[21:23, 18:21, 3:6] = 1
    for name, values in (
        ("desc-preproc_T2w", cord + 1),
        ("space-T2w_desc-preproc_T1w", 2 - cord),
        ("space-T2w_label-SC_mask", cord),
        ("space-T2w_label-centerline_mask", line),
        ("space-T2w_label-SC_desc-template_mask", cord),
        ("space-T2w_label-lesion_mask", lesion),
        ("space-T2w_seg-lesions_dseg", lesion),
    ):
        save(Image(values, AFFINE), anat / f"sub-01_{name}.nii.gz")
    said = words(
        *("level", "column", "gate", "action", "metric", "region", "manual", "reason", "kind"),
        *("stage", "node", "failure", "warning", "command", "version", "template", "release"),
        *("model", "package", "package_version", "finished", "frame", "source"),
        markup=markup,
    )
    crash = {"crash": f"wordcrash{IN_NAMES if markup else ''}"}
    _person_tables(anat, said)
    run = SessionRunFacts(
        "sub-01/anat/sub-01_T2w.nii.gz",
        (CoregFacts("T1w", True, 0.1, "sub-01/anat/sub-01_T1w.nii.gz", said["frame"]),),
        labels=(LabelFacts(said["manual"], said["kind"], False, said["reason"]),),
        level_source=f"detected in {said['source']}",
    )
    facts = ReportFacts(
        (run,),
        said["command"],
        said["version"],
        Path("/data") / (IN_NAMES if markup else "plain"),
        template_name=said["template"],
        template_release=said["release"],
        models=(ModelFacts(said["model"], said["version"], SHORT if markup else "u"),),
        warnings=(said["warning"],),
        failures=(FailureFacts(said["stage"], said["node"], said["failure"], crash["crash"]),),
        wall_s={said["stage"]: 2.0},
        packages={said["package"]: said["package_version"]},
        finished_at=said["finished"],
    )
    return f"01{IN_NAMES if markup else ''}", facts, said | crash


def _person_tables(anat: Path, said: dict[str, str]) -> None:
    """Write the tables of a person with words in all their columns of text."""
    stem = "sub-01_space-T2w_label-"
    level = {"vertebral_level": said["level"]}
    slices = pd.DataFrame({"slice": range(8), "complete": True, "doubtful": False})
    slices = slices.assign(z_mm=slices["slice"] * 2.0, length_mm=2.0, area_mm2=35.0, **level)
    region = {"region": said["region"], "kind": "column", "side": "both"}
    region |= {"metric": said["metric"]}
    gate = {"metric": said["gate"], "value": 0.1, "threshold": 0.5, "result": "WARN"}
    tables = {
        f"{stem}SC_desc-perslice_morph": slices.assign(diameter_ap_mm=5.0, diameter_rl_mm=7.0),
        f"{stem}SC_desc-perlevel_morph": pd.DataFrame([level | {"area_mm2": 35.0}]),
        f"{stem}lesion_morph": pd.DataFrame(
            [level | {"lesion": 1, "column": said["column"], "volume_mm3": 36.0}]
        ),
        "sub-01_desc-auto_qc": pd.DataFrame([gate | {"action": said["action"]}]),
        "sub-01_space-T2w_desc-MTR_metric": pd.DataFrame(
            [
                region | {"vertebral_level": "all", "metric_wa": 1.0},
                region | level | {"metric_map": 1.0},
            ]
        ),
    }
    for name, table in tables.items():
        table.to_csv(anat / f"{name}.tsv", sep="\t", index=False, na_rep="n/a", quoting=3)


def test_report_of_a_participant(tmp_path: Path, drive: Any) -> None:
    label, facts, _ = person(tmp_path / "plain", "")
    plain = write_participant_report(tmp_path / "plain", label, facts)
    label, facts, said = person(tmp_path / "hostile", MARKUP)
    hostile = write_participant_report(tmp_path / "hostile", label, facts)
    text = compare(plain, hostile, drive)
    assert missing(text, said | {"label": label, "folder": IN_NAMES, "sha256": SHORT}) == []


def test_viewer(tmp_path: Path, drive: Any) -> None:
    label, facts, _ = person(tmp_path / "plain", "")
    plain = write_viewer(tmp_path / "plain", label, facts)
    label, facts, said = person(tmp_path / "hostile", MARKUP)
    hostile = write_viewer(tmp_path / "hostile", label, facts)
    assert plain is not None
    assert hostile is not None
    text = compare(plain, hostile, drive, *SOFTWARE_GL)
    assert missing(text, {name: said[name] for name in ("level", "version")} | {"id": label}) == []


def group(root: Path, markup: str) -> tuple[Path, GroupFacts, dict[str, str]]:
    """Write what the group level wrote; return the folder, the facts, and what has to be read."""
    out = root / "out"
    cord, levels = np.zeros((13, 11, 24), np.float32), np.zeros((13, 11, 24), np.float32)
    cord[3:10, 3:8] = 1
    levels[..., :12], levels[..., 12:] = 3, 2
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    paths = root / "cord.nii.gz", root / "levels.nii.gz"
    for path, values in zip(paths, (cord, levels), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        save(Image(values, affine), path)
    for kind, values in (("probability", 0.1 * cord), ("coverage", cord)):
        path = map_path(out, kind, "PAM50", None)  # type: ignore[arg-type]
        path.parent.mkdir(parents=True, exist_ok=True)
        save(Image(values, affine), path)
    said = words(
        *("person", "participant", "session", "excluded", "gate", "status", "command", "version"),
        *("release", "question", "nuisance", "model", "sha", "package", "warning", "finished"),
        markup=markup,
    )
    identity = {"person_id": said["person"], "participant_id": said["participant"]}
    identity |= {"cohort": "MS", "session_id": said["session"], "run": "n/a", "contrast": "T2w"}
    people = pd.DataFrame([identity | {"used": used} for used in ("true", "false")])
    people = people.assign(reason_left_out=["n/a", said["excluded"]], lesion_mm3_template=1.0)
    tables = {
        "people": people,
        "morph": people[["person_id", "participant_id", "cohort"]].assign(
            vertebral_level="C2", area_mm2=[70.0, 80.0]
        ),
        "qc": people[["person_id", "participant_id", "cohort"]].assign(
            metric=said["gate"], value=[0.9, 0.8]
        ),
    }
    for name, table in tables.items():
        table.to_csv(out / f"group_{name}.tsv", sep="\t", index=False, na_rep="n/a", quoting=3)
    write_status(out, Status("sub-02", state="failed", reason=f"input: {said['status']}"))
    facts = GroupFacts(
        said["command"],
        said["version"],
        "PAM50",
        said["release"],
        *paths,
        None,
        1,
        {"MS": 1},
        1,
        100,
        (said["nuisance"],),
        (("MSvsHC", said["question"]),),
        {said["model"]: said["sha"]},
        (said["warning"],),
        {said["package"]: "1"},
        said["finished"],
    )
    return out, facts, said


def test_report_of_a_group(tmp_path: Path, drive: Any) -> None:
    out, facts, _ = group(tmp_path / "plain", "")
    plain = write_group_report(out, facts)
    out, facts, said = group(tmp_path / "hostile", MARKUP)
    hostile = write_group_report(out, facts)
    text = compare(plain, hostile, drive)
    said["status"] = said["status"].replace('"', "'")  # as the table keeps it
    assert missing(text, said) == []
