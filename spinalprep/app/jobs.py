"""From sessions to graphs: one job per reference image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.labels import Labels, find_labels
from spinalprep.bids.maps import MT_RATIO, glob_maps, mt_pair, pick_map
from spinalprep.bids.names import SHOWS_GM, frame_name, output_prefix
from spinalprep.bids.session import Scan, Session, Unit, units
from spinalprep.errors import InputError, ModelError
from spinalprep.image.grids import same_voxels
from spinalprep.image.sanity import check_header
from spinalprep.networks.cards import card_path, packaged_weights, read_card
from spinalprep.normative.table import SHIPPED
from spinalprep.settings import Settings
from spinalprep.template.files import Template
from spinalprep.template.levels import disc_heights
from spinalprep.template.pack import packed_atlas
from spinalprep.template.regions import combined_regions, region_names
from spinalprep.workflows.measures import Healthy
from spinalprep.workflows.metrics import Maps
from spinalprep.workflows.participant import Parameters, Participant, TemplateFiles, Weights

TASKS = {
    "centerline": "finder",
    "cord": "segmenter",
    "discs": "discs",
    "gm": "grey",
    "lesion": "lesions",
}


@dataclass(frozen=True)
class Shared:
    """What all jobs of a run have in common.

    Attributes
    ----------
    settings : Settings
        What the user asked for.
    template : Template or None
        None where it is skipped.
    template_files : TemplateFiles
        The same as files of the graph.
    weights : mapping of str to Path
        Weight file of each network.
    cards : mapping of str to dict
        Their cards.
    maps : mapping of str to tuple of Path
        All files of each ``--metric``.
    """

    settings: Settings
    template: Template | None
    template_files: TemplateFiles | None
    weights: Mapping[str, Path]
    cards: Mapping[str, Mapping[str, Any]]
    maps: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One reference image with all that belongs to it, and its graph.

    ``others`` maps the names of the stages' contrasts to their scans; ``problems`` are
    (stage, reason) of inputs that can't be used, ``task`` is None where the reference is one;
    ``maps`` are the files of the metrics, ``mt_pair`` the images of the MT ratio.
    """

    key: str
    session: Session
    reference: Scan
    others: Mapping[str, Scan]
    labels: Labels
    task: Any
    problems: tuple[tuple[str, str], ...] = ()
    maps: Mapping[str, Path] = field(default_factory=dict)
    mt_pair: tuple[str, str] | None = None


def gather_shared(settings: Settings, template: Template | None) -> Shared:
    """Check weights and template files once for the whole run.

    Raises
    ------
    ModelError
        If weights are missing or corrupt, or ``--model`` names a network that there is not.
    TemplateError
        If the template's discs can't be read.
    UsageError
        If no file fits a ``--metric``.
    """
    unknown = sorted(set(settings.models) - set(TASKS))
    if unknown:
        raise ModelError(f"--model {unknown[0]}=...: expected one of {', '.join(TASKS)}")
    weights = {name: settings.models.get(name, packaged_weights(name)) for name in TASKS}
    cards = {name: read_card(path) for name, path in weights.items()}
    maps = glob_maps(settings.bids_dir, settings.metrics)
    files = _template_files(template, settings)
    return Shared(settings, template, files, weights, cards, maps)


def build_jobs(session: Session, shared: Shared) -> list[Job]:
    """Return the jobs of a session.

    Raises
    ------
    InputError
        If the session has no image that can be the reference.
    """
    chosen = units(session, shared.settings.reference_anat)
    return [_build(session, unit, shared) for unit in chosen]


def cache_folder(settings: Settings, participant: str) -> Path:
    """Return the cache of a participant; it can be deleted alone."""
    return settings.work_dir / "cache-1" / f"sub-{participant}"


def _build(session: Session, unit: Unit, shared: Shared) -> Job:
    """Check the headers of a unit and build its graph."""
    settings, key = shared.settings, output_prefix(unit.reference)
    problem = _problem(unit.reference.path, settings.mem_gb)
    if problem:
        return Job(key, session, unit.reference, {}, Labels(), None, (("preprocess", problem),))
    problems: list[tuple[str, str]] = []
    others: dict[str, Scan] = {}
    for scan in unit.others if "coreg" not in settings.skip else ():
        name = _stage_name(scan, unit.reference, others)
        wrong = _problem(scan.path, settings.mem_gb)
        if wrong:
            problems.append((f"preprocess_{name}", wrong))
        else:
            others[name] = scan
    labels = find_labels(settings, unit.reference)
    files = _find_maps(unit.reference, shared, problems)
    pair = None if MT_RATIO in settings.metrics else mt_pair(unit.reference, others)
    task = Participant(
        reference=File(unit.reference.path),
        others={name: File(scan.path) for name, scan in others.items()},
        labels={role: File(path) for role, path in labels.paths.items()},
        weights=_weights(shared.weights),
        template=shared.template_files,
        parameters=_parameters(settings, shared.template, unit.reference.contrast),
        healthy=Healthy(File(SHIPPED), *age_and_sex(settings.bids_dir, session.participant)),
        maps=_maps(files, unit.reference, others, pair),
    )
    given = (key, session, unit.reference, others, labels, task, tuple(problems))
    return Job(*given, files, pair)


def _find_maps(reference: Scan, shared: Shared, problems: list[tuple[str, str]]) -> dict[str, Path]:
    """Return the map of each metric that a reference image has; say what can't be used."""
    files: dict[str, Path] = {}
    for name, paths in shared.maps.items():
        try:
            path = pick_map(name, paths, reference)
            if path is not None:
                check_header(path, shared.settings.mem_gb)
                files[name] = path
        except InputError as error:
            problems.append((f"metric_{name}", str(error)))
    return files


def _maps(
    files: Mapping[str, Path],
    reference: Scan,
    others: Mapping[str, Scan],
    pair: tuple[str, str] | None,
) -> Maps | None:
    """Tell which image's grid every map shares; the reference's where it shares none."""
    if not files and pair is None:
        return None
    frames: dict[str, str] = {}
    for name, path in files.items():
        if not same_voxels(path, reference.path):
            alike = [other for other, scan in others.items() if same_voxels(path, scan.path)]
            frames |= {name: alike[0]} if alike else {}
    return Maps({name: File(path) for name, path in files.items()}, frames, pair)


def _problem(path: Path, mem_gb: float) -> str:
    """Return what is wrong with the header of an image, or nothing."""
    try:
        check_header(path, mem_gb)
    except InputError as error:
        return str(error)
    return ""


def _stage_name(scan: Scan, reference: Scan, taken: Mapping[str, Scan]) -> str:
    """Return a name for the stages of a contrast, unlike those that are taken."""
    name = frame_name(scan, reference)
    run = scan.entities.get("run")
    if name in taken and run is not None:
        name = f"{name}run{run}"
    return name if name not in taken else f"{name}n{len(taken)}"


def _weights(paths: Mapping[str, Path]) -> Weights:
    files: dict[str, File] = {}
    for name, role in TASKS.items():
        files[role] = File(paths[name])
        files[f"{role}_card"] = File(card_path(paths[name]))
    return Weights(**files)


def _template_files(template: Template | None, settings: Settings) -> TemplateFiles | None:
    if template is None:
        return None
    spinal = template.spinal_levels
    atlas = packed_atlas(template, settings.work_dir / "templates", min(settings.nprocs, 4))
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


def _parameters(settings: Settings, template: Template | None, contrast: str) -> Parameters:
    return Parameters(
        n4="n4" not in settings.skip,
        denoise=settings.denoise,
        sloppy=settings.sloppy,
        coreg="coreg" not in settings.skip,
        template=template is not None,
        lesion="lesion" not in settings.skip,
        shows_gm=contrast in SHOWS_GM,
        spaces=settings.output_spaces,
        lesion_threshold=settings.lesion_threshold,
        min_lesion_mm3=settings.min_lesion_mm3,
        level_hint=settings.level_hint,
        seed=settings.random_seed,
        reproducible=settings.reproducible,
    )
