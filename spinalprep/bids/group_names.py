"""Names of what the group level writes, both ways: maps in the template's space, and tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spinalprep.bids.derivative_kinds import IMAGE, TABLE
from spinalprep.bids.names import CONTRASTS, MTS_ONLY, Source, join_name, parse_name
from spinalprep.errors import DefectError

MapKind = Literal["probability", "lower", "upper", "soft", "coverage", "mean", "t", "p", "effect"]
TableKind = Literal[
    "people",
    "morph",
    "morph_slices",
    "lesions",
    "lesion_totals",
    "metrics",
    "qc",
    "tracts",
    "occupancy",
    "curves",
    "comparison",
]


@dataclass(frozen=True)
class MapOutput:
    """One kind of map over people.

    Attributes
    ----------
    description : str
        What the sidecar's ``Description`` says.
    suffix : str
        Last part of the name; empty stands for the contrast of the images.
    label, desc, stat : str or None
        Entities of the name.
    named : bool
        Whether ``desc-`` is the name of a comparison instead.
    """

    description: str
    suffix: str = ""
    label: str | None = None
    desc: str | None = None
    stat: str | None = None
    named: bool = False


MAPS: Mapping[MapKind, MapOutput] = {
    "probability": MapOutput(
        "fraction of the participants covering the voxel who have a lesion there; NaN if fewer "
        "than MinimumCoverage participants cover it, 0 is an observed zero",
        "probseg",
        "lesion",
    ),
    "lower": MapOutput("lower limit of the 95 % Wilson interval", "probseg", "lesion", "lower"),
    "upper": MapOutput("upper limit of the 95 % Wilson interval", "probseg", "lesion", "upper"),
    "soft": MapOutput(
        "mean lesion probability over the participants covering the voxel",
        "probseg",
        "lesion",
        "soft",
    ),
    "coverage": MapOutput(
        "fraction of all participants who cover the voxel: inside the field of view, in a "
        "slice in which the cord was found",
        "probseg",
        "SC",
        "coverage",
    ),
    "mean": MapOutput(
        "mean over participants, each image scaled so that the median of the cord is 1", desc="mean"
    ),
    "t": MapOutput("Student's t", "statmap", stat="t", named=True),
    "p": MapOutput(
        "p, two-sided, corrected for the family of voxels by permutation",
        "statmap",
        stat="p",
        named=True,
    ),
    "effect": MapOutput(
        "difference of lesion probability, or slope per unit of the covariate",
        "statmap",
        stat="effect",
        named=True,
    ),
}


@dataclass(frozen=True)
class GroupMap:
    """One map of an output folder, by what its name says.

    Attributes
    ----------
    path : Path
        The file.
    kind : MapKind
        What it is.
    template : str
        What ``tpl-`` says.
    cohort : str or None
        Whose it is; None for everybody.
    name : str or None
        Of the comparison.
    contrast : str
        Of a mean image, with its pulse where it is MTS: ``flip-1_mt-on_MTS``.
    """

    path: Path
    kind: MapKind
    template: str
    cohort: str | None = None
    name: str | None = None
    contrast: str = ""


def map_path(
    out_dir: Path,
    kind: MapKind,
    template: str,
    cohort: str | None = None,
    *,
    name: str | None = None,
    image: Source | None = None,
) -> Path:
    """Return where a map is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    kind : MapKind
        A key of `MAPS`.
    template : str
        What ``tpl-`` calls it.
    cohort : str, optional
        Letters and digits.
    name : str, optional
        Of the comparison; of statistics alone.
    image : Source, optional
        One of the images that a mean is taken of; MTS says its pulse, as BIDS wants.

    Raises
    ------
    DefectError
        If name or image is missing or not wanted.

    Examples
    --------
    >>> map_path(Path("o"), "probability", "PAM50", "MS").as_posix()
    'o/tpl-PAM50/cohort-MS/anat/tpl-PAM50_cohort-MS_label-lesion_probseg.nii.gz'
    >>> map_path(Path("o"), "t", "PAM50", name="MSvsHC").name
    'tpl-PAM50_desc-MSvsHC_stat-t_statmap.nii.gz'
    """
    output = MAPS[kind]
    if output.named != (name is not None) or (not output.suffix) != (image is not None):
        raise DefectError(f"{kind}: got name {name!r} and image {image!r}; see MAPS")
    root, entities = out_dir / f"tpl-{template}", {"tpl": template}
    if cohort is not None:
        root, entities["cohort"] = root / f"cohort-{cohort}", cohort
    desc = name if output.named else output.desc
    own = {"label": output.label, "desc": desc, "stat": output.stat}
    entities |= {key: value for key, value in own.items() if value is not None}
    suffix = output.suffix
    if image is not None:
        suffix = image.contrast
        entities |= {key: image.entities[key] for key in MTS_ONLY if key in image.entities}
    return root / "anat" / join_name(entities, suffix, IMAGE)


def parse_map(path: Path) -> GroupMap | None:
    """Return what the name of a map says; None where it is none of `MAPS`.

    Examples
    --------
    >>> found = parse_map(Path("tpl-PAM50_cohort-MS_desc-mean_T2w.nii.gz"))
    >>> found.kind, found.cohort, found.contrast
    ('mean', 'MS', 'T2w')
    """
    entities, suffix, extension = parse_name(path.name)
    if "tpl" not in entities or join_name(entities, suffix, extension) != path.name:
        return None
    image = suffix if suffix in CONTRASTS else ""
    own = tuple(entities.get(key) for key in ("label", "desc", "stat"))
    for kind, output in MAPS.items():
        desc = own[1] if output.named and own[1] else output.desc
        told = (output.label, desc, output.stat)
        if extension == IMAGE and own == told and output.suffix == ("" if image else suffix):
            pulse = {key: entities[key] for key in MTS_ONLY if key in entities}
            contrast = join_name(pulse, image, "") if image else ""
            name = desc if output.named else None
            return GroupMap(path, kind, entities["tpl"], entities.get("cohort"), name, contrast)
    return None


def table_path(out_dir: Path, kind: TableKind) -> Path:
    """Return where a table over people is written.

    Examples
    --------
    >>> table_path(Path("o"), "people").as_posix()
    'o/group_people.tsv'
    """
    return out_dir / f"group_{kind}{TABLE}"
