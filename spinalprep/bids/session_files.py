"""The files that belong to one session run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spinalprep.bids.labels import Labels, find_labels
from spinalprep.bids.maps import MT_RATIO, mt_pair, pick_map
from spinalprep.bids.names import frame_name, output_prefix
from spinalprep.bids.session import ReferenceRun, Scan
from spinalprep.errors import InputError
from spinalprep.image.sanity import check_header, check_presence
from spinalprep.settings import Settings

_log = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class SessionFiles:
    """A reference image, and the images, labels and maps that go with it.

    Attributes
    ----------
    reference : Scan
        The raw image that everything is measured on.
    contrasts : mapping of str to Scan
        The images that are registered to it, by the names of their stages.
    labels : Labels
        What people drew on it.
    maps : mapping of str to Path
        The maps that are measured by region, by metric.
    mt_pair : tuple of (on, off) or None
        The images of which the MT ratio is made, by the names of their stages; the reference's is
        empty.
    """

    reference: Scan
    contrasts: Mapping[str, Scan] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    maps: Mapping[str, Path] = field(default_factory=dict)
    mt_pair: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The name of the session run: how the names of its outputs begin."""
        return output_prefix(self.reference)

    @property
    def scans(self) -> dict[str, Scan]:
        """All images by the names of their stages; the reference's is empty."""
        return {"": self.reference, **self.contrasts}

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files of which outputs are made: images, labels and maps."""
        images = (scan.path for scan in self.scans.values())
        return (*images, *self.labels.paths.values(), *self.maps.values())

    @property
    def tumor_contrasts(self) -> tuple[str | None, str | None]:
        """The images in which a tumor is looked for, T2w and Gd-T1w, by the names of their stages.

        The first T2w, and the first T1w whose ``ce-`` begins with ``gad`` or ``gd``; None where
        there is none.
        """
        t2w = next((name for name, scan in self.scans.items() if scan.contrast == "T2w"), None)
        enhanced = (name for name, scan in self.scans.items() if shows_gadolinium(scan))
        return t2w, next(enhanced, None)

    @property
    def lumbar_contrasts(self) -> tuple[str | None, str | None]:
        """The images in which lumbar structures are looked for, T2w and T1w, as `tumor_contrasts`.

        T1w without gadolinium in its name is taken before T1w with it.
        """
        t1w = [name for name, scan in self.scans.items() if scan.contrast == "T1w"]
        t1w.sort(key=lambda name: shows_gadolinium(self.scans[name]))
        return self.tumor_contrasts[0], next(iter(t1w), None)

    def is_drawn(self, role: str) -> bool:
        """Tell whether a person's label of a role is used (``cord``, ``lesion``, ``gm`` ...)."""
        return role in self.labels.paths


def lesion_images(files: SessionFiles, settings: Settings) -> tuple[str, ...]:
    """Return the other images in which lesions are looked for, by the names of their stages.

    None where the reference is not searched, or a person drew its lesions. ``auto`` takes further
    T2w images of a T2w: what other contrasts add has not been measured enough.
    """
    alone = settings.lesion_fusion == "reference" or files.is_drawn("lesion")
    if alone or "coreg" in settings.skip or not settings.seeks_lesions(files.reference.contrast):
        return ()
    scans = files.contrasts.items()
    if settings.lesion_fusion == "auto":
        t2w = files.reference.contrast == "T2w"
        return tuple(name for name, scan in scans if t2w and scan.contrast == "T2w")
    return tuple(name for name, scan in scans if settings.seeks_lesions(scan.contrast))


def shows_gadolinium(scan: Scan) -> bool:
    """Tell whether a name says that it is a T1w image after gadolinium (``ce-gadolinium``)."""
    return scan.contrast == "T1w" and scan.entities.get("ce", "").lower().startswith(("gad", "gd"))


@dataclass(frozen=True)
class Unusable:
    """A contrast or a map that can't be used, by the name of its stages, and why."""

    kind: Literal["contrast", "map"]
    name: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """The files of a session run, and what else there is but can't be used."""

    files: SessionFiles
    unusable: tuple[Unusable, ...] = ()


def gather_files(
    run: ReferenceRun, settings: Settings, maps: Mapping[str, tuple[Path, ...]]
) -> Gathered:
    """Gather what goes with a reference image; the header of every image is checked.

    Parameters
    ----------
    run : ReferenceRun
        The reference image and the images that are registered to it.
    settings : Settings
        What is wanted.
    maps : mapping of str to tuple of Path
        All files of each metric; those of this image are chosen.

    Raises
    ------
    InputError
        If the reference image itself can't be used, or a label has no content.
    """
    _check(run.reference.path, settings)
    contrasts: dict[str, Scan] = {}
    unusable: list[Unusable] = []
    for scan in run.others if "coreg" not in settings.skip else ():
        name = _stage_name(scan, run.reference, contrasts)
        try:
            _check(scan.path, settings)
            contrasts[name] = scan
        except InputError as error:
            unusable.append(Unusable("contrast", name, str(error)))
    labels = find_labels(settings, run.reference)
    for drawn in labels.paths.values():
        check_presence(drawn)
    own: dict[str, Path] = {}
    for name, paths in maps.items():
        try:
            path = pick_map(name, paths, run.reference)
            if path is not None:
                _check(path, settings)
                own[name] = path
        except InputError as error:
            unusable.append(Unusable("map", name, str(error)))
    pair = None if MT_RATIO in settings.metrics else mt_pair(run.reference, contrasts)
    return Gathered(SessionFiles(run.reference, contrasts, labels, own, pair), tuple(unusable))


def _check(path: Path, settings: Settings) -> None:
    """Refuse an image that can't be used; a dry run also says what is odd about its header."""
    for line in check_header(path, settings.mem_gb):
        if settings.dry_run:  # a run says it when it reads the image
            _log.warning(line)


def _stage_name(scan: Scan, reference: Scan, taken: Mapping[str, Scan]) -> str:
    """Return what the stages of a contrast are called, unlike those that are taken."""
    name = frame_name(scan, reference)
    run = scan.entities.get("run")
    if name in taken and run is not None:
        name = f"{name}run{run}"
    return name if name not in taken else f"{name}n{len(taken)}"
