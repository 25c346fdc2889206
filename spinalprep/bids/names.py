"""Names: what a BIDS file name says, and what an output is called."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

from spinalprep import defaults
from spinalprep.errors import DefectError

CONTRASTS = defaults.CONTRASTS
SHOWS_GM = ("T2starw", "MTS")  # the contrasts in which gray matter can be seen

# The order of BIDS 1.11 (rules.entities of its schema); `from`, `to`, `mode` of the transforms
# and `stat` of the maps are not in it yet and stand where niworkflows puts them.
ENTITY_ORDER = (
    *("sub", "tpl", "ses", "cohort", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce"),
    *("trc", "stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc"),
    *("hemi", "space", "split", "recording", "chunk", "atlas", "seg", "scale", "res", "den"),
    *("from", "to", "mode", "label", "desc", "stat"),
)
MTS_ONLY = ("flip", "mt")
_WORD = re.compile(r"[0-9A-Za-z+]+")
_NIFTI = (".nii.gz", ".nii")


class Source(Protocol):
    """What a derivative inherits from the image that it was made of."""

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""

    @property
    def session(self) -> str | None:
        """Label without ``ses-``."""

    @property
    def contrast(self) -> str:
        """The suffix of the image."""

    @property
    def entities(self) -> Mapping[str, str]:
        """Entities beside ``sub`` and ``ses``."""


class Entities(TypedDict, total=False):
    """What a derivative's name says beyond its source's."""

    space: str | None
    atlas: str | None
    seg: str | None
    from_: str | None
    to: str | None
    mode: str | None
    label: str | None
    desc: str | None


@dataclass(frozen=True)
class ImageName:
    """An image by the parts of its name; see `Source`."""

    participant: str
    session: str | None
    contrast: str
    entities: Mapping[str, str]

    @classmethod
    def of(cls, name: str) -> "ImageName":
        """Return what the name of a raw image says.

        Examples
        --------
        >>> ImageName.of("sub-01_ses-a_run-2_T2w.nii.gz")
        ImageName(participant='01', session='a', contrast='T2w', entities={'run': '2'})
        """
        entities, contrast, _ = parse_name(name)
        participant, session = entities.pop("sub"), entities.pop("ses", None)
        return cls(participant, session, contrast, entities)


def parse_name(name: str) -> tuple[dict[str, str], str, str]:
    """Split a file name into its entities, its suffix and its extension.

    Parts that are not ``key-value`` are left out of the entities.

    Examples
    --------
    >>> parse_name("sub-01_flip-1_mt-on_MTS.nii.gz")
    ({'sub': '01', 'flip': '1', 'mt': 'on'}, 'MTS', '.nii.gz')
    """
    stem, dot, rest = name.partition(".")
    *parts, suffix = stem.split("_")
    pairs = (part.partition("-") for part in parts)
    return {key: value for key, dash, value in pairs if dash and value}, suffix, dot + rest


def is_label(value: str) -> bool:
    """Tell whether BIDS allows a value of an entity: letters, digits and plus signs of ASCII."""
    return _WORD.fullmatch(value) is not None


def not_labels(entities: Mapping[str, str]) -> str:
    """Return the first entity, for a message, that is no label of BIDS; empty where all are.

    Examples
    --------
    >>> not_labels({"sub": "01", "acq": "a b"}), not_labels({"sub": "01"})
    ("acq-'a b'", '')
    """
    odd = (f"{k}-{v!a}" for k, v in entities.items() if k in ENTITY_ORDER and not is_label(v))
    return next(odd, "")


def printable(name: str) -> str:
    """Return a name on one line and without control characters, for a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def join_name(entities: Mapping[str, str], suffix: str, extension: str) -> str:
    """Return the file name with these parts, entities in the order of BIDS; see `parse_name`.

    Entities that BIDS does not know are left out.

    Examples
    --------
    >>> join_name({"label": "SC", "sub": "01"}, "mask", ".nii.gz")
    'sub-01_label-SC_mask.nii.gz'
    """
    parts = [f"{key}-{entities[key]}" for key in ENTITY_ORDER if key in entities]
    return "_".join([*parts, suffix]) + extension


def image_stem(path: Path) -> str:
    """Return the name of a NIfTI file without ``.nii`` or ``.nii.gz``."""
    name = path.name
    for extension in _NIFTI:
        name = name.removesuffix(extension)
    return name


def derivative_path(
    out_dir: Path,
    source: Source,
    *,
    suffix: str,
    extension: str = ".nii.gz",
    **entities: Unpack[Entities],
) -> Path:
    """Return where an output made from ``source`` is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    source : Scan
        The raw image whose ``sub``, ``ses``, ``acq``, ``run`` ... are copied. ``flip`` and
        ``mt`` stay on ``_MTS`` images only; an MTS image without ``flip`` is written with
        ``flip-1``, one without ``mt`` with ``mt-off``.
    suffix, extension : str
        The last part of the name.
    **entities : str or None
        ``space``, ``atlas``, ``seg``, ``from_``, ``to``, ``mode``, ``label``, ``desc``; None is
        left out.

    Returns
    -------
    path : Path
        ``out_dir/sub-<>/[ses-<>/]anat/<name>``.

    Raises
    ------
    DefectError
        If a value is not a BIDS label.
    """
    given = {key.rstrip("_"): str(value) for key, value in entities.items() if value is not None}
    inherited = _inherited(source, suffix)
    everything = {"sub": source.participant, **inherited, **given}
    _check(everything)
    return anat_folder(out_dir, source) / join_name(everything, suffix, extension)


def anat_folder(out_dir: Path, source: Source) -> Path:
    """Return ``out_dir/sub-<>/[ses-<>/]anat``."""
    folder = out_dir / f"sub-{source.participant}"
    if source.session is not None:
        folder /= f"ses-{source.session}"
    return folder / "anat"


def output_prefix(source: Source) -> str:
    """Return how the names of a reference image's outputs begin (``sub-01_ses-1_run-1``)."""
    everything = {"sub": source.participant, **_inherited(source)}
    return "_".join(f"{key}-{everything[key]}" for key in ENTITY_ORDER if key in everything)


def frame_name(scan: Source, reference: Source | None = None) -> str:
    """Return what ``from-`` and ``to-`` call the frame of an image.

    The contrast; an MTS image other than ``flip-1_mt-on`` says so (``MTSmtoff``), and an image
    of the reference's own contrast adds what sets it apart (``T2wax`` for ``acq-ax``), so that
    a transform and its inverse never share a name.
    """
    name = scan.contrast
    if scan.contrast == "MTS":
        flip, pulse = scan.entities.get("flip", "1"), scan.entities.get("mt", "off")
        name += f"flip{flip}" if flip.lstrip("0") != "1" else ""
        name += f"mt{pulse}" if pulse != "on" else ""
    if reference is None or scan.contrast != reference.contrast:
        return name
    if scan.entities == reference.entities:
        return "MTS" if scan.contrast == "MTS" else name
    apart = [
        value
        for key, value in scan.entities.items()
        if key not in MTS_ONLY and reference.entities.get(key) != value
    ]
    name += "".join(_WORD.findall("".join(apart)))
    return name if name != scan.contrast else f"{name}other"


def _inherited(source: Source, suffix: str = "") -> dict[str, str]:
    """Return the source's entities that an output with this suffix keeps."""
    kept = {
        key: value
        for key, value in source.entities.items()
        if key in ENTITY_ORDER and key not in MTS_ONLY
    }
    if source.session is not None:
        kept["ses"] = source.session
    if suffix == "MTS":
        kept["flip"] = source.entities.get("flip", "1")
        kept["mt"] = source.entities.get("mt", "off")
    return kept


def _check(entities: Mapping[str, str]) -> None:
    """Refuse values that would break a name."""
    for key, value in entities.items():
        if not is_label(value):
            raise DefectError(f"{key}-{value!r} is not a BIDS label; expected letters and digits")
