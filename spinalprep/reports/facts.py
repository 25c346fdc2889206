"""What a report is told: everything else it reads from the output folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from spinalprep.bids.names import ImageName, output_prefix


@dataclass(frozen=True)
class CoregFacts:
    """One contrast moved to the reference; ``gain`` is the rise of similarity near the cord.

    ``accepted`` is False where the registration gained nothing and the header's alignment was
    kept, ``headers_hold`` true where that is right by itself; ``source`` is the raw image,
    relative to the BIDS folder; ``frame`` is what transforms call it (``MTSmtoff``).
    """

    contrast: str
    accepted: bool
    gain: float | None
    source: str
    frame: str
    headers_hold: bool = False


@dataclass(frozen=True)
class LabelFacts:
    """A manual label that was found; ``reason`` says why it was ignored."""

    path: str
    kind: str  # cord, lesion, gm, discs, centerline
    used: bool
    reason: str = ""


@dataclass(frozen=True)
class SessionRunFacts:
    """One reference image with its outputs.

    Attributes
    ----------
    reference : str
        The raw reference image, relative to the BIDS folder.
    contrasts : tuple of CoregFacts
        The other contrasts that went to this reference.
    labels : tuple of LabelFacts
        Manual labels, used or ignored.
    metrics : tuple of str
        Maps that were measured by region; ``MTR`` with ``mt_ratio`` was made here.
    level_source : str
        ``manual``, ``hint``, ``hint+detected``, ``detected``, ``detected in T2w`` (in another
        image of the session) or ``unknown``.
    level_probability : float
        That the levels are the right ones: 1 where a person said so.
    lesions_sought : bool
        Whether a network looked for lesions.
    lesions_joined : tuple of str
        Images whose lesions were joined, the reference first; empty where it was alone.
    lesion_fusion : str
        How they were joined: ``union`` or ``mean``; ``reference`` where it is searched alone.
    tumor_sought : bool
        Whether a tumor was looked for.
    tumor_t2w, tumor_gd_t1w : str or None
        In which raw images, relative to the BIDS folder; None where there is none.
    tumor_lost : tuple of str
        ``T2w`` or ``Gd-T1w`` whose image is there, but did not get to the grid of the reference.
    lumbar_sought : bool
        Whether lumbar structures were looked for.
    lumbar_t2w, lumbar_t1w : str or None
        In which raw images, relative to the BIDS folder; None where there is none.
    lumbar_alignment : str or None
        How T1w came to T2w, see `lumbar.structures.Alignment`; None where there is only one.
    lumbar_refused : str
        Why there are none; empty where there are.
    scored : bool
        Whether there are z-scores: levels, sex and a fitting age are known, masks are calibrated.
    uncalibrated : str
        Why healthy people can't be compared with; empty where they can.
    """

    reference: str
    contrasts: tuple[CoregFacts, ...] = ()
    labels: tuple[LabelFacts, ...] = ()
    level_source: str = "unknown"
    level_probability: float = 0.0
    metrics: tuple[str, ...] = ()
    mt_ratio: bool = False
    lesions_sought: bool = True
    lesions_joined: tuple[str, ...] = ()
    lesion_fusion: str = "reference"
    scored: bool = False
    uncalibrated: str = ""
    lumbar_sought: bool = False
    lumbar_t2w: str | None = None
    lumbar_t1w: str | None = None
    lumbar_alignment: str | None = None
    lumbar_refused: str = ""
    tumor_sought: bool = False
    tumor_t2w: str | None = None
    tumor_gd_t1w: str | None = None
    tumor_lost: tuple[str, ...] = ()

    @property
    def levels_seen_in(self) -> str:
        """The other contrast whose discs give the levels; empty where none does."""
        return self.level_source.partition("detected in ")[2]

    @property
    def image(self) -> ImageName:
        """The reference image, by its name."""
        return ImageName.of(self.reference.rpartition("/")[2])

    @property
    def prefix(self) -> str:
        """How the names of its outputs begin: ``sub-01_ses-1_run-1``."""
        return output_prefix(self.image)

    @property
    def space(self) -> str:
        """The reference contrast, as in ``space-T2w``."""
        return self.image.contrast


@dataclass(frozen=True)
class ModelFacts:
    """A network whose weights were used; ``preset`` is its architecture."""

    name: str
    version: str
    sha256: str
    synthetic: bool | None = None
    preset: str = ""


@dataclass(frozen=True)
class FailureFacts:
    """A stage that did not finish; ``crash_file`` is relative to the output folder."""

    stage: str
    node: str
    reason: str
    crash_file: str = ""


@dataclass(frozen=True)
class ReportFacts:
    """What happened to one participant.

    Attributes
    ----------
    runs : tuple of SessionRunFacts
        One per reference image.
    command : str
        The command line as it can be typed again.
    version : str
        Version of spinalprep.
    template_name, template_release : str
        ``PAM50`` or ``Generic``; empty where no template was used.
    settings : mapping
        The settings that change numbers, by flag name.
    wall_s : mapping
        Seconds per stage.
    labels_dir : Path or None
        Where manual labels are read from; default ``bids_dir/derivatives/labels``.
    finished_at : str
        When the report was made; the only thing that differs between two equal runs.
    """

    runs: tuple[SessionRunFacts, ...]
    command: str
    version: str
    bids_dir: Path
    template_name: str = ""
    template_release: str = ""
    models: tuple[ModelFacts, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[FailureFacts, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    wall_s: Mapping[str, float] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    labels_dir: Path | None = None
    finished_at: str = ""
    peak_mib: float | None = None
    cache_hits: int | None = None

    @property
    def labels_root(self) -> Path:
        """Return the folder that the next run reads manual labels from."""
        return self.labels_dir or self.bids_dir / "derivatives" / "labels"


def package_versions() -> dict[str, str]:
    """Return the versions of what computes."""
    names = ("antspyx", "nibabel", "numpy", "scipy", "scikit-image", "torch", "pydra")
    return {name: version(name) for name in names}
