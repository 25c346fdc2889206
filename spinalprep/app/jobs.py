"""From sessions to jobs: one per reference image, with its files and its graph."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fileformats.generic import File

from spinalprep import stages
from spinalprep.app.graph_inputs import (
    NETWORKS,
    OF_TUMORS,
    OPTIONAL,
    graph_parameters,
    map_files,
    on_gpu,
    template_files,
    weight_files,
)
from spinalprep.app.log import LOG
from spinalprep.app.work_folder import cache_folder
from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.labels import NOT_WANTED, unfitting_labels
from spinalprep.bids.maps import glob_maps
from spinalprep.bids.session import ReferenceRun, Session, reference_runs
from spinalprep.bids.session_files import SessionFiles, gather_files
from spinalprep.defaults import CORD_WEIGHTS
from spinalprep.derivatives.comparable import why_uncalibrated
from spinalprep.device import CPU, find_device
from spinalprep.errors import DefectError, InputError, ModelError, SpinalprepError, UsageError
from spinalprep.networks.cards import packaged_weights, read_card
from spinalprep.normative import calibration, table
from spinalprep.settings import Settings
from spinalprep.template.files import Template, resolve_template
from spinalprep.workflows.measures import Healthy
from spinalprep.workflows.participant import Participant, TemplateFiles

SYNTHETIC_ONLY = "; the networks were trained on synthetic tumors, no real tumor was seen"


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
        Their cards, and the ``device`` that each network runs on.
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
class Problem:
    """An input that can't be used: the stage that would have taken it, and why."""

    stage: str
    reason: str


@dataclass(frozen=True)
class Job:
    """One session run before it begins.

    Attributes
    ----------
    session : Session
        Whose it is.
    files : SessionFiles
        The reference image and what goes with it.
    task : pydra workflow task or None
        The graph; None where the reference can't be used.
    problems : tuple of Problem
        Inputs that can't be used.
    """

    session: Session
    files: SessionFiles
    task: Any
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All that a run will do.

    Attributes
    ----------
    shared : Shared
        What the jobs have in common.
    sessions : tuple of Session
        All that were asked for.
    jobs : mapping of str to Job
        By the names of the session runs (``sub-01_ses-1_run-1``).
    unusable : tuple of (Session, reason)
        Sessions without an image to work on.
    """

    shared: Shared
    sessions: tuple[Session, ...]
    jobs: Mapping[str, Job]
    unusable: tuple[tuple[Session, str], ...] = ()

    @property
    def participants(self) -> list[str]:
        """The labels of all participants."""
        return sorted({session.participant for session in self.sessions})

    @property
    def tasks(self) -> dict[str, Any]:
        """The graphs of the jobs that can be run."""
        return {key: job.task for key, job in self.jobs.items() if job.task is not None}

    def cache(self, key: str) -> Path:
        """Return the cache of a job."""
        return cache_folder(self.shared.settings, self.jobs[key].session.participant)


def plan_run(shared: Shared, sessions: Sequence[Session]) -> Plan:
    """Build the graph of every session.

    Raises
    ------
    DefectError
        If a graph can't be built.
    """
    jobs: dict[str, Job] = {}
    unusable: list[tuple[Session, str]] = []
    for session in sessions:
        for warning in session.warnings:
            LOG.debug("%s: %s", session.name, warning)
        for line in session.left_out:
            LOG.info("%s: %s", session.name, line)
        try:
            jobs |= {job.files.key: job for job in build_jobs(session, shared)}
        except InputError as error:
            LOG.error("%s: %s", session.name, error)
            unusable.append((session, str(error)))
        except SpinalprepError:
            raise
        except Exception as error:
            raise DefectError(f"the graph of {session.name} could not be built: {error}") from error
    found = [label for job in jobs.values() for label in job.files.labels.found]
    ignored = sum(label.reason == NOT_WANTED for label in found)
    if ignored:
        LOG.info("%d manual labels ignored (%s)", ignored, NOT_WANTED)
    refused = {job.session.participant for job in jobs.values() if job.task is None}
    refused |= {session.participant for session, _ in unusable}  # whose labels were not looked for
    people = {session.participant for session in sessions} - refused
    _tell_unfitting(shared.settings, sorted(people), {label.path for label in found})
    return Plan(shared, tuple(sessions), jobs, tuple(unusable))


def _tell_unfitting(settings: Settings, people: Sequence[str], known: set[Path]) -> None:
    """Say which labels of the participants belong to no image that is worked on."""
    usual = settings.bids_dir / "derivatives" / "labels"
    if os.path.lexists(usual) and not usual.is_dir():
        LOG.warning("%s is not a folder; no manual labels are read from it", usual)
    for label in people:
        if line := unfitting_labels(settings, label, known):
            LOG.info("sub-%s: %s", label, line)


def gather_shared(settings: Settings) -> Shared:
    """Find and check template and weights once for the whole run.

    Raises
    ------
    ModelError
        If weights are missing or corrupt, or ``--model`` names a network that there is not.
    TemplateError
        If the template is missing, or its discs can't be read.
    UsageError
        If no file fits a ``--metric``, or two networks are asked for the cord.
    """
    template = None if "template" in settings.skip else resolve_template(settings.template)
    if template is not None:
        LOG.info("template %s (%s)", template.name, template.version)
    unknown = sorted(set(settings.models) - set(NETWORKS))
    if unknown:
        raise ModelError(f"--model {unknown[0]}=...: expected one of {', '.join(NETWORKS)}")
    needed = [n for n in NETWORKS if n not in OPTIONAL]
    if settings.pathology == "tumor":
        needed += _tumor_networks(settings)
    if settings.lumbar:
        needed.append(_given_or_shipped("lumbar", "--lumbar", "docs/lumbar.md", settings))
    if settings.cord_model != "unet" and "cord" in settings.models:
        raise UsageError("--cord-model and --model cord=... both name a network; give one of them")
    shipped = {name: packaged_weights(name) for name in needed}
    shipped["cord"] = packaged_weights(CORD_WEIGHTS[settings.cord_model])
    weights = {name: settings.models.get(name, path) for name, path in shipped.items()}
    device = find_device(settings.device)
    cards = {
        name: read_card(path) | {"device": str(device if on_gpu(path, device) else CPU)}
        for name, path in weights.items()
    }
    maps = glob_maps(settings.bids_dir, settings.metrics)
    return Shared(settings, template, template_files(template, settings), weights, cards, maps)


def _tumor_networks(settings: Settings) -> list[str]:
    """Return the networks of a tumor that are needed.

    Raises
    ------
    ModelError
        If one is neither given nor shipped.
    """
    whose = "" if "tumor" in settings.models else SYNTHETIC_ONLY
    LOG.warning("--pathology tumor: research use only, not for diagnosis%s", whose)
    needed = [n for n in OF_TUMORS if n == "tumor" or settings.tumor_crop == "cascade"]
    return [
        _given_or_shipped(name, "--pathology tumor", "docs/tumor.md", settings) for name in needed
    ]


def _given_or_shipped(name: str, flag: str, page: str, settings: Settings) -> str:
    """Return the name of a network of which there are weights."""
    if name not in settings.models and not packaged_weights(name).is_file():
        raise ModelError(
            f"{flag}: weights for {name} are not included; train them "
            f"(spinalprep-tools train {name}, {page}) and give --model {name}=PATH"
        )
    return name


def build_jobs(session: Session, shared: Shared) -> list[Job]:
    """Return the jobs of a session.

    Raises
    ------
    InputError
        If the session has no image that can be the reference, or a file of it is gone.
    """
    if not session.scans:
        there = "".join(f"; {line}" for line in session.left_out)
        raise InputError(f"no T1w, T2w, T2starw or MTS image matches the request{there}")
    chosen = reference_runs(session, shared.settings.reference_anat)
    try:
        return [_build(session, run, shared) for run in chosen]
    except FileNotFoundError as error:
        if not _is_input(str(error.filename), shared.settings):
            raise
        why = " ".join(str(error).split())
        raise InputError(f"the dataset changed while it was read ({why}): start again") from error


def _is_input(path: str, settings: Settings) -> bool:
    """Tell whether a path lies in the dataset, or in a folder of labels that the user named."""
    folders = (settings.bids_dir, *settings.derivatives.values())
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _build(session: Session, run: ReferenceRun, shared: Shared) -> Job:
    """Gather the files of a session run and build its graph."""
    settings, reference = shared.settings, run.reference
    try:
        gathered = gather_files(run, settings, shared.maps)
    except InputError as error:
        problem = Problem(stages.PREPROCESS.name_of(), str(error))
        return Job(session, SessionFiles(reference), None, (problem,))
    files = gathered.files
    task = Participant(
        reference=File(reference.path),
        contrasts={name: File(scan.path) for name, scan in files.contrasts.items()},
        labels={role: File(path) for role, path in files.labels.paths.items()},
        weights=weight_files(shared.weights, find_device(settings.device), settings.work_dir),
        template=shared.template_files,
        parameters=graph_parameters(settings, shared.template, files),
        healthy=_healthy(session.participant, files, shared),
        maps=map_files(files),
    )
    takes: dict[str, stages.Stage[Any]] = {"contrast": stages.PREPROCESS, "map": stages.METRIC}
    problems = (Problem(takes[u.kind].name_of(u.name), u.reason) for u in gathered.unusable)
    return Job(session, files, task, tuple(problems))


def _healthy(participant: str, files: SessionFiles, shared: Shared) -> Healthy:
    """Return healthy people, comparable or not, and who is held against them."""
    comparable = not why_uncalibrated(files, shared.settings, shared.cards)
    age, sex = age_and_sex(shared.settings.bids_dir, participant)
    found = File(calibration.SHIPPED) if comparable else None
    return Healthy(File(table.SHIPPED), age, sex, found)
