"""What the graph of a session run is told: files of weights, template and maps, and parameters."""

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.bids.names import SHOWS_GM, frame_name
from spinalprep.bids.session_files import SessionFiles, lesion_images
from spinalprep.defaults import JOINED_BY
from spinalprep.device import Device
from spinalprep.image.grids import same_voxels
from spinalprep.lesion.tumors import TumorRule
from spinalprep.networks.cards import card_path
from spinalprep.settings import Settings
from spinalprep.template.files import Template
from spinalprep.template.levels import disc_heights
from spinalprep.template.pack import packed_atlas
from spinalprep.template.places import cache_folder
from spinalprep.template.regions import combined_regions, region_names
from spinalprep.workflows.cord import WeightFile, Weights
from spinalprep.workflows.lesions import OtherLesions
from spinalprep.workflows.lumbar import LumbarSearch
from spinalprep.workflows.metrics import Maps
from spinalprep.workflows.participant import Parameters, TemplateFiles
from spinalprep.workflows.tumor import TumorSearch

NETWORKS = tuple(network.name for network in fields(Weights))
OF_TUMORS = ("tumor_cord", "tumor")  # networks that are read where a tumor is looked for
OPTIONAL = (*OF_TUMORS, "lumbar")  # networks that are read where they are asked for


def weight_files(paths: Mapping[str, Path], device: Device, work_dir: Path) -> Weights:
    """Return the weights of every network with their cards.

    Cards name the GPU that a network will run on, so that the cache tells its results from those
    of the CPU, whose cards are as they came.
    """
    files = {}
    for name, path in paths.items():
        card = card_path(path)
        if on_gpu(path, device):
            card = _card_of_gpu(card, device, work_dir / "cards" / f"{name}.json")
        files[name] = WeightFile(File(path), File(card))
    return Weights(**files)


def on_gpu(weights: Path, device: Device) -> bool:
    """Tell whether a network runs on a GPU; ONNX Runtime stays on the CPU."""
    return device.kind == "cuda" and weights.suffix != ".onnx"


def _card_of_gpu(card: Path, device: Device, path: Path) -> Path:
    """Write a card that names the GPU; return its path."""
    text = json.dumps(json.loads(card.read_bytes()) | {"device": str(device)}, indent=2)
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        partial.write_text(text)
        partial.replace(path)
    return path


def template_files(template: Template | None, settings: Settings) -> TemplateFiles | None:
    """Return what of a template the stages read; its atlas is packed, once."""
    if template is None:
        return None
    spinal = template.spinal_levels
    atlas = packed_atlas(template, packed_folder(settings), min(settings.nprocs, 4))
    return TemplateFiles(
        template.name,
        NiftiGz(template.cord),
        disc_heights(template),
        NiftiGz(template.levels),
        NiftiGz(template.gm) if template.gm is not None else None,
        NiftiGz(spinal) if spinal is not None else None,
        File(atlas) if atlas is not None else None,
        tuple(region_names(template)),
        combined_regions(template),
    )


def packed_folder(settings: Settings) -> Path:
    """Return where packed atlases are: beside fetched templates if there are any, else below work.

    Nothing is made in the home folder that is not there. Jobs of a cluster share the work folder,
    and perhaps no other.
    """
    shared = cache_folder(os.environ)
    if settings.worker != "slurm" and shared.is_dir() and os.access(shared, os.W_OK):
        return shared / "packed"
    return settings.work_dir / "templates"


def graph_parameters(
    settings: Settings, template: Template | None, files: SessionFiles
) -> Parameters:
    """Return the settings that change numbers, and which classes of labels are meant."""
    contrast = files.reference.contrast
    return Parameters(
        n4="n4" not in settings.skip,
        denoise=settings.denoise,
        sloppy=settings.sloppy,
        coreg="coreg" not in settings.skip,
        template=template is not None,
        lesion=settings.seeks_lesions(contrast),
        shows_gm=contrast in SHOWS_GM,
        at_edge=settings.moves_outline(contrast),
        spaces=settings.output_spaces,
        lesion_threshold=settings.lesion_threshold,
        min_lesion_mm3=settings.min_lesion_mm3,
        other_lesions=_other_lesions(settings, files),
        level_hint=settings.level_hint,
        seed=settings.random_seed,
        label_values=files.labels.values,
        tumor=_tumor_search(settings, files),
        lumbar=_lumbar_search(settings, files),
    )


def _other_lesions(settings: Settings, files: SessionFiles) -> OtherLesions | None:
    """Return in which other images lesions are looked for; None where in none."""
    names = lesion_images(files, settings)
    if not names:
        return None
    own = frame_name(files.reference, files.reference)
    return OtherLesions(names, own, JOINED_BY[settings.lesion_fusion])


def _tumor_search(settings: Settings, files: SessionFiles) -> TumorSearch | None:
    """Return how a tumor is looked for; None where it is not, or no image could show it."""
    t2w, gd_t1w = files.tumor_contrasts
    if settings.pathology != "tumor" or (t2w is None and gd_t1w is None):
        return None
    rule = TumorRule(
        settings.tumor_threshold,
        settings.edema_threshold,
        settings.min_tumor_cm3,
        settings.min_edema_cm3,
        settings.min_cavity_cm3,
    )
    return TumorSearch(t2w, gd_t1w, settings.tumor_crop, rule)


def _lumbar_search(settings: Settings, files: SessionFiles) -> LumbarSearch | None:
    """Return where lumbar structures are looked for; None where they are not, or can't be."""
    t2w, t1w = files.lumbar_contrasts
    if not settings.lumbar or (t2w is None and t1w is None):
        return None
    return LumbarSearch(t2w, t1w)


def map_files(files: SessionFiles) -> Maps | None:
    """Return the maps, and which image's grid each shares; the reference's where it shares none."""
    if not files.maps and files.mt_pair is None:
        return None
    frames: dict[str, str] = {}
    for name, path in files.maps.items():
        if not same_voxels(path, files.reference.path):
            alike = [c for c, scan in files.contrasts.items() if same_voxels(path, scan.path)]
            frames |= {name: alike[0]} if alike else {}
    return Maps({name: File(path) for name, path in files.maps.items()}, frames, files.mt_pair)
