"""What stages leave becomes files, and sidecars that say who made them."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep import stages
from spinalprep.bids.derivative_kinds import OUTPUTS, TABLE, Kind
from spinalprep.bids.labels import Label, Labels
from spinalprep.bids.session import Scan
from spinalprep.bids.session_files import SessionFiles
from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.derivatives.publish import publish
from spinalprep.derivatives.writer import PARTS_OF_TABLES, DerivativeWriter
from spinalprep.image import Image, save
from spinalprep.normative.calibration import load_calibration
from spinalprep.registration.measures import CoregistrationMeasures
from spinalprep.settings import Settings
from spinalprep.stages import Node
from spinalprep.tables import write_table
from spinalprep.template.files import resolve_template

CARDS = {
    name: {"name": name, "version": "3", "sha256": "0" * 64, "licence": "not told"}
    for name in ("centerline", "cord", "discs", "gm", "lesion", "tumor", "lumbar")
}


class Dataset:
    """One participant's output folder, and files of a cache."""

    def __init__(self, home: Path) -> None:
        self.home, self.out = home, home / "out"
        self.anat = self.out / "sub-1" / "anat"

    def writer(self, *drawn: str, source: str = "detected", **options: Any) -> DerivativeWriter:
        labels = Labels(
            tuple(Label(self.home / f"{role}.nii.gz", role, True, "", f"{role}") for role in drawn)
        )
        t2w, t1w = (
            Scan(self.home / "in", f"sub-1/anat/sub-1_{c}.nii.gz", "1", None, c)
            for c in ("T2w", "T1w")
        )
        settings = Settings(self.home / "in", self.out, "participant", mem_gb=4.0, **options)
        files = SessionFiles(t2w, {"T1w": t1w}, labels)
        return DerivativeWriter(files, settings, resolve_template("Generic"), CARDS, source)

    def image(self, name: str) -> Path:
        return save(Image(np.ones((3, 3, 3), np.float32), np.eye(4)), self.home / f"{name}.nii.gz")

    def table(self, name: str, **columns: list[Any]) -> Path:
        return write_table(pd.DataFrame(columns), self.home / f"{name}.tsv")

    def names(self) -> set[str]:
        found = {path.name.removeprefix("sub-1_") for path in self.anat.iterdir()}
        return {name for name in found if not name.endswith(".json")}

    def sidecar(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.anat / f"sub-1_{name}.json").read_text())
        return content


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def segmented(dataset: Dataset) -> stages.SegmentedCord:
    maps = {
        name: dataset.image(name) for name in ("cord", "probability", "gm", "lesion", "uncertainty")
    }
    line = dataset.table("line", s_mm=[0.0], x_mm=[1.0])
    return stages.SegmentedCord(
        **maps, centerline=line, confidence=0.9, unseen=0, doubtful=[], moved=None
    )


def test_a_moved_outline_is_told(dataset: Dataset) -> None:
    found = replace(segmented(dataset), moved=MovedOutline(0.12, 0.0, 0.2, 0.75))
    publish(dataset.writer(), Node(stages.AUTOMATIC), found)
    told = dataset.sidecar("space-T2w_label-SC_mask")["Parameters"]["outline_moved"]
    assert told == {"median_mm": 0.12, "least_mm": 0.0, "most_mm": 0.2, "evident": 0.75}


def test_what_networks_found_says_which(dataset: Dataset) -> None:
    assert publish(dataset.writer(), Node(stages.AUTOMATIC), segmented(dataset))
    cord = dataset.sidecar("space-T2w_label-SC_mask")
    assert cord["Model"] == {"name": "cord", "version": "3", "sha256": "0" * 64}
    assert cord["Manual"] is False
    assert cord["SpatialReference"] == "bids::sub-1/anat/sub-1_desc-preproc_T2w.nii.gz"
    assert "lesion_threshold" not in cord["Parameters"]
    lesion = dataset.sidecar("space-T2w_label-lesion_probseg")
    assert lesion["Parameters"]["lesion_threshold"] == 0.9
    assert not any("GM" in name for name in dataset.names())  # a T2w shows none
    assert "space-T2w_label-centerline_morph.tsv" in dataset.names()
    assert not publish(dataset.writer(), Node(stages.AUTOMATIC), segmented(dataset))


def test_inputs_are_told_with_their_checksums(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = dataset.home / "in" / "sub-1" / "anat" / "sub-1_T2w.nii.gz"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"an image")
    dataset.image("discs")
    sums = {
        "bids:raw:sub-1/anat/sub-1_T2w.nii.gz": sha256(b"an image").hexdigest(),
        "bids:labels:discs": sha256((dataset.home / "discs.nii.gz").read_bytes()).hexdigest(),
    }
    monkeypatch.setenv("SPINALPREP_CONTAINER", "apptainer")
    image, writer = dataset.image("found"), dataset.writer("discs", source="manual")
    known = stages.LabelledLevels(levels=image, vertebrae=image, discs=image, source="manual")
    publish(writer, Node(stages.LEVELS), known)
    assert dataset.sidecar("space-T2w_seg-vertebrae_dseg")["SourcesSHA256"] == sums
    table = dataset.table("total", vertebral_level=["all"], area_mm2=[80.0])
    shape = stages.CordShape(perslice=table, perlevel=table, total=table)
    publish(writer, Node(stages.SHAPE), shape)
    told = dataset.sidecar("space-T2w_label-SC_desc-total_morph")
    assert told["SourcesSHA256"] == sums
    assert {"name": "cord", "version": "3", "sha256": "0" * 64} in told["Models"]
    assert told["Template"].startswith("urn:spinalprep:template-Generic:")
    assert told["GeneratedBy"][0]["Container"]["Type"] == "apptainer"
    assert told["area_mm2"]["Units"] == "mm2"
    raw.write_bytes(b"another")
    publish(dataset.writer(), Node(stages.AUTOMATIC), segmented(dataset))
    cord = dataset.sidecar("space-T2w_label-SC_mask")["SourcesSHA256"]
    assert list(cord.values()) == [sha256(b"another").hexdigest()]


@pytest.mark.parametrize(
    ("key", "drawn", "source", "networks"),
    [
        ("perslice", (), "detected", ["centerline", "cord", "discs"]),
        ("perslice", ("cord",), "manual", []),
        ("shape_total", ("centerline",), "unknown", ["cord"]),
        ("lesion_table", ("cord",), "manual", ["lesion"]),
        ("lesion_totals", ("lesion",), "manual", ["centerline", "cord"]),
        ("lumbar_table", (), "detected", ["lumbar"]),
        ("qc", ("cord", "lesion"), "manual", sorted(CARDS)),
    ],
)
def test_a_table_names_the_networks_that_had_a_part_in_it(
    dataset: Dataset, key: Kind, drawn: tuple[str, ...], source: str, networks: list[str]
) -> None:
    told = dataset.writer(*drawn, source=source).about(key)["Models"]
    assert [model["name"] for model in told] == networks


@pytest.mark.parametrize(
    ("drawn", "source", "networks"),
    [
        ((), "detected", ["centerline", "cord", "discs"]),
        (("cord",), "detected in T1w", ["centerline", "discs"]),
        (("cord",), "manual", None),
    ],
)
def test_what_follows_from_registration_names_the_networks_behind_it(
    dataset: Dataset, drawn: tuple[str, ...], source: str, networks: list[str] | None
) -> None:
    writer = dataset.writer(*drawn, source=source)
    writer.image("template_cord", dataset.image("cord"))
    told = dataset.sidecar("space-T2w_label-SC_desc-template_mask")
    assert "Model" not in told
    found = told.get("Models")
    assert (found and [model["name"] for model in found]) == networks


def test_every_table_says_which_networks_it_follows_from() -> None:
    tables = {key for key, output in OUTPUTS.items() if output.extension == TABLE}
    assert tables - PARTS_OF_TABLES.keys() == {"qc", "lesions_lookup", "lumbar_lookup"}


def test_beside_a_drawn_cord_the_networks_are_kept_as_auto(dataset: Dataset) -> None:
    writer = dataset.writer("cord", skip=("lesion",))
    publish(writer, Node(stages.AUTOMATIC), segmented(dataset))
    names = dataset.names()
    assert "space-T2w_label-SC_desc-auto_mask.nii.gz" in names
    assert "space-T2w_label-SC_mask.nii.gz" not in names
    assert "space-T2w_label-centerline_morph.tsv" not in names
    assert not any("lesion" in name for name in names)
    line = dataset.table("drawn", s_mm=[0.0], x_mm=[1.0])
    cord = dataset.image("drawn")
    drawn = stages.DrawnCord(cord=cord, probability=cord, centerline=line)
    publish(writer, Node(stages.MANUAL), drawn)
    sidecar = dataset.sidecar("space-T2w_label-SC_mask")
    assert sidecar["Manual"] is True
    assert sidecar["Sources"] == ["bids:raw:sub-1/anat/sub-1_T2w.nii.gz", "bids:labels:cord"]
    assert "Model" not in sidecar


@pytest.mark.parametrize("drawn", [True, False])
def test_thresholds_are_told_of_lesions_that_were_found(dataset: Dataset, drawn: bool) -> None:
    mask, evidence = dataset.image("mask"), dataset.table("evidence", z=[3.0, 4.0])
    files = dict.fromkeys(("mask", "instances", "soft"), mask) | {"evidence": evidence}
    lesions = stages.SeparatedLesions(volumes=[12.5, 3.25], refused=[], outside=0.0, **files)
    writer = dataset.writer(*(["lesion"] if drawn else []))
    publish(writer, Node(stages.LESION), lesions)
    sidecar = dataset.sidecar("space-T2w_seg-lesions_dseg")
    assert sidecar["Manual"] is drawn
    assert ("Model" in sidecar, "min_lesion_mm3" in sidecar["Parameters"]) == (not drawn, not drawn)
    assert set(sidecar["LabelMap"]) == {"1", "2"}
    lookup = pd.read_csv(dataset.anat / "sub-1_space-T2w_seg-lesions_dseg.tsv", sep="\t")
    assert lookup["volume_mm3"].tolist() == [12.5, 3.25]


def test_another_contrast_has_its_own_names_and_both_ways(dataset: Dataset) -> None:
    texts = [dataset.home / name for name in ("forward.txt", "inverse.txt")]
    for path in texts:
        path.write_text(path.name)
    measures = CoregistrationMeasures(0.02, True, False, 1.02, 1.04)
    found = stages.Coregistered(
        image=dataset.image("moved"), forward=texts[0], inverse=texts[1], measures=measures
    )
    publish(dataset.writer(), Node(stages.COREGISTER, "T1w"), found)
    assert dataset.names() == {
        "space-T2w_desc-preproc_T1w.nii.gz",
        "from-T1w_to-T2w_mode-image_xfm.txt",
        "from-T2w_to-T1w_mode-image_xfm.txt",
    }
    there = dataset.anat / "sub-1_from-T1w_to-T2w_mode-image_xfm.txt"
    assert there.read_text() == "forward.txt"
    sidecar = dataset.sidecar("from-T2w_to-T1w_mode-image_xfm")
    assert sidecar["Parameters"]["gain"] == 0.02
    assert "in T2w space onto the grid of T1w" in sidecar["Description"]
    assert [model["name"] for model in sidecar["Models"]] == ["centerline", "cord"]
    image = dataset.sidecar("space-T2w_desc-preproc_T1w")
    assert (image["Models"], "Model" in image) == (sidecar["Models"], False)
    mask = dataset.image("mask")
    masks = stages.MasksOnContrast(cord=mask, lesion=None)
    publish(dataset.writer(), Node(stages.MASKS, "T1w"), masks)
    assert {name for name in dataset.names() if "mask" in name} == {
        "space-T1w_label-SC_mask.nii.gz"
    }
    own = dataset.sidecar("space-T1w_label-SC_mask")["SpatialReference"]
    assert own == "bids::sub-1/anat/sub-1_desc-preproc_T1w.nii.gz"


@pytest.mark.parametrize("source", ["detected", "detected in T1w", "manual"])
def test_levels_say_what_they_follow_from(dataset: Dataset, source: str) -> None:
    image = dataset.image("levels")
    known = stages.LabelledLevels(levels=image, vertebrae=image, discs=image, source=source)
    unknown = stages.LabelledLevels(levels=None, vertebrae=None, discs=None, source="unknown")
    writer = dataset.writer(*(["discs"] if source == "manual" else []), source=source)
    assert not publish(writer, Node(stages.LEVELS), unknown)
    assert publish(writer, Node(stages.LEVELS), known)
    sidecar = dataset.sidecar("space-T2w_seg-vertebrae_dseg")
    assert sidecar["LevelSource"] == source
    assert ("Model" in sidecar) == (source != "manual")
    assert sidecar["Manual"] is (source == "manual")


def test_tables_say_whose_they_are_and_name_the_levels(dataset: Dataset) -> None:
    perslice = dataset.table("perslice", vertebral_level=[3.0, np.nan], area_mm2=[80.0, np.nan])
    nothing = dataset.table("perlevel", vertebral_level=[], area_mm2=[])
    total = dataset.table("total", vertebral_level=["all"], area_mm2=[80.0])
    shape = stages.CordShape(perslice=perslice, perlevel=nothing, total=total)
    publish(dataset.writer(), Node(stages.SHAPE), shape)
    text = (dataset.anat / "sub-1_space-T2w_label-SC_desc-perslice_morph.tsv").read_text()
    assert text.splitlines() == [
        "participant_id\tsession_id\trun\tcontrast\tvertebral_level\tarea_mm2",
        "sub-1\tn/a\tn/a\tT2w\tC3\t80",
        "sub-1\tn/a\tn/a\tT2w\tn/a\tn/a",
    ]
    assert not any("perlevel" in name for name in dataset.names())
    metric = dataset.table("metric", vertebral_level=["all"], metric_mean=[0.5])
    publish(dataset.writer(), Node(stages.METRIC, "FA"), stages.MeasuredMetric(table=metric))
    table = pd.read_csv(dataset.anat / "sub-1_space-T2w_desc-FA_metric.tsv", sep="\t")
    assert table["metric"].tolist() == ["FA"]


def test_what_a_run_finds_not_to_exist_does_not_stay(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    image, everything = dataset.image("found"), dataset.writer()
    publish(everything, Node(stages.AUTOMATIC), segmented(dataset))
    known = stages.LabelledLevels(levels=image, vertebrae=image, discs=image, source="detected")
    publish(everything, Node(stages.LEVELS), known)
    lesions = stages.LesionsOnTemplate(mask=image, soft=image)
    publish(everything, Node(stages.LESION_TEMPLATE), lesions)
    before = dataset.names()
    assert not publish(everything, Node(stages.AUTOMATIC), segmented(dataset))
    without = dataset.writer(lesion_contrasts=("T2starw",))
    caplog.set_level("INFO", "spinalprep")
    assert publish(without, Node(stages.AUTOMATIC), segmented(dataset))
    unknown = stages.LabelledLevels(levels=None, vertebrae=None, discs=None, source="unknown")
    assert publish(without, Node(stages.LEVELS), unknown)
    gone = before - dataset.names()
    assert gone == {
        "space-T2w_label-lesion_probseg.nii.gz",
        "space-Generic_label-lesion_mask.nii.gz",
        "space-Generic_label-lesion_probseg.nii.gz",
        "space-T2w_seg-vertebrae_dseg.nii.gz",
        "space-T2w_seg-discs_dseg.nii.gz",
    }
    for name in gone:
        assert f"sub-1_{name}" in caplog.text
        assert not (dataset.anat / f"sub-1_{name}".replace(".nii.gz", ".json")).exists()


def test_tumors_of_an_earlier_run_go_where_none_is_looked_for(dataset: Dataset) -> None:
    names = ("tumor", "edema", "cavity", "abnormality")
    images = {f"{name}{part}": dataset.image("x") for name in names for part in ("", "_soft")}
    table = dataset.table("t", structure=["tumor"], volume_mm3=[812.0])
    found = stages.FoundTumor(table=table, seen=["T2w"], **images)
    seeking = dataset.writer(pathology="tumor")
    publish(seeking, Node(stages.AUTOMATIC), segmented(dataset))
    publish(seeking, Node(stages.TUMOR), found)
    path = dataset.anat / "sub-1_space-T2w_label-tumor_mask.json"
    assert [s.rpartition("/")[2] for s in json.loads(path.read_text())["Sources"]] == [
        "sub-1_T2w.nii.gz"  # the T1w image is no Gd-T1w
    ]
    assert not publish(seeking, Node(stages.AUTOMATIC), segmented(dataset))
    before = dataset.names()
    assert publish(dataset.writer(), Node(stages.AUTOMATIC), segmented(dataset))
    gone = before - dataset.names()
    assert len(gone) == 9
    assert all(any(f"label-{name}_" in file for name in names) for file in gone)
    assert not path.exists()


@pytest.mark.parametrize(("drawn", "skip"), [(["lesion"], ()), ([], ("lesion",))])
def test_lesions_stay_where_a_person_drew_them_or_the_stage_is_skipped(
    dataset: Dataset, drawn: list[str], skip: tuple[str, ...]
) -> None:
    lesions = stages.LesionsOnTemplate(mask=dataset.image("m"), soft=dataset.image("s"))
    publish(dataset.writer(*drawn), Node(stages.LESION_TEMPLATE), lesions)
    later = dataset.writer(*drawn, lesion_contrasts=("T2starw",), skip=skip)
    publish(later, Node(stages.AUTOMATIC), segmented(dataset))
    assert "space-Generic_label-lesion_mask.nii.gz" in dataset.names()


def test_the_automatic_cord_goes_with_the_drawn_one(dataset: Dataset) -> None:
    publish(dataset.writer("cord"), Node(stages.AUTOMATIC), segmented(dataset))
    assert "space-T2w_label-SC_desc-auto_mask.nii.gz" in dataset.names()
    publish(dataset.writer(), Node(stages.AUTOMATIC), segmented(dataset))
    assert not any("auto" in name for name in dataset.names())


def test_sidecars_say_where_the_network_ran(dataset: Dataset) -> None:
    cards = {**CARDS, "cord": {**CARDS["cord"], "sha256": "1" * 64, "device": "cuda (A GPU)"}}
    path = dataset.anat / "sub-1_space-T2w_label-SC_mask.json"
    publish(replace(dataset.writer(), cards=cards), Node(stages.AUTOMATIC), segmented(dataset))
    told = json.loads(path.read_text())
    assert told["Device"] == "cuda (A GPU)"
    assert "device" not in told["Model"]
    cord = dataset.image("drawn")
    line = dataset.table("drawn", s_mm=[0.0], x_mm=[1.0])
    drawn = stages.DrawnCord(cord=cord, probability=cord, centerline=line)
    publish(replace(dataset.writer("cord"), cards=cards), Node(stages.MANUAL), drawn)
    assert "Device" not in json.loads(path.read_text())


def shape_with_scores(dataset: Dataset) -> stages.CordShape:
    perslice = dataset.table("perslice", vertebral_level=[3.0], area_mm2=[80.0])
    perlevel = dataset.table("perlevel", vertebral_level=[3.0], area_mm2=[80.0], area_z=[0.5])
    return stages.CordShape(perslice=perslice, perlevel=perlevel, total=perslice)


def test_scores_say_who_calibrated_the_masks_or_why_there_are_none(dataset: Dataset) -> None:
    calibration = load_calibration()
    raw = dataset.home / "in" / "sub-1" / "anat"
    raw.mkdir(parents=True)
    save(Image(np.ones((3, 3, 3), np.float32), np.eye(4)), raw / "sub-1_T2w.nii.gz")
    cards = {**CARDS, "cord": {**CARDS["cord"], **calibration.network}}
    name = "space-T2w_label-SC_desc-perlevel_morph"
    publish(replace(dataset.writer(), cards=cards), Node(stages.SHAPE), shape_with_scores(dataset))
    told = dataset.sidecar(name)
    assert told["area_z"]["Calibrated"] is True
    assert told["area_z"]["Calibration"]["People"] == calibration.people
    assert told["area_z"]["Calibration"]["Network"]["sha256"] == calibration.network["sha256"]
    assert told["area_z"]["Calibration"]["MedianSpread"]["area_mm2"] > 0
    assert "Calibrated" not in told["area_mm2"]
    others = {
        "drawn by hand": replace(dataset.writer("cord"), cards=cards),
        "other weights": dataset.writer(),
        "--denoise, --skip n4": replace(dataset.writer(denoise=True, skip=("n4",)), cards=cards),
        "manual centerline": replace(dataset.writer("centerline"), cards=cards),
        "--edge-contrasts": replace(dataset.writer(edge_contrasts=("T1w", "T2w")), cards=cards),
    }
    for reason, writer in others.items():
        publish(writer, Node(stages.SHAPE), shape_with_scores(dataset))
        told = dataset.sidecar(name)
        assert told["area_z"]["Calibrated"] is False
        assert reason in told["area_z"]["NotShownBecause"]
    thick = np.diag([0.7, 0.7, 7.5, 1.0])
    save(Image(np.ones((3, 3, 3), np.float32), thick), raw / "sub-1_T2w.nii.gz")
    publish(replace(dataset.writer(), cards=cards), Node(stages.SHAPE), shape_with_scores(dataset))
    assert "0.7 x 0.7 x 7.5 mm" in dataset.sidecar(name)["area_z"]["NotShownBecause"]


def test_lumbar_structures_come_with_their_names_and_leave_when_there_are_none(
    dataset: Dataset,
) -> None:
    to = dataset.writer(lumbar=True)
    table = dataset.table("lumbar", structure=["vertebrae"], volume_mm3=[12.0])
    found = stages.FoundLumbar(
        structures=dataset.image("structures"),
        soft=dataset.image("soft"),
        table=table,
        alignment="registered",
    )
    node = Node(stages.LUMBAR)
    assert publish(to, node, found)
    assert {name for name in dataset.names() if "lumbar" in name} == {
        "space-T2w_seg-lumbar_dseg.nii.gz",
        "space-T2w_seg-lumbar_dseg.tsv",
        "space-T2w_seg-lumbar_probseg.nii.gz",
        "space-T2w_seg-lumbar_morph.tsv",
    }
    sidecar = json.loads((dataset.anat / "sub-1_space-T2w_seg-lumbar_dseg.json").read_text())
    assert sidecar["LabelMap"]["3"] == "intervertebral discs"
    assert "synthetic subjects only" in sidecar["Description"]
    assert [source.rpartition("/")[2] for source in sidecar["Sources"]] == [
        "sub-1_T2w.nii.gz",
        "sub-1_T1w.nii.gz",
    ]
    assert sidecar["Parameters"]["t1w_to_t2w"] == "registered"
    publish(to, node, replace(found, alignment="refused"))
    sidecar = json.loads((dataset.anat / "sub-1_space-T2w_seg-lumbar_dseg.json").read_text())
    assert [s.rpartition("/")[2] for s in sidecar["Sources"]] == ["sub-1_T2w.nii.gz"]
    nothing = stages.FoundLumbar(structures=None, soft=None, table=None, alignment=None)
    assert publish(to, node, nothing)
    assert not any("lumbar" in name for name in dataset.names())
