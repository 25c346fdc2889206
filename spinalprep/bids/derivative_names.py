"""Names of derivatives, both ways: from what a file is to its path, and from a path to what it is.

A name stands once, in `derivative_kinds`. Who writes an output asks `output_path`; who reads one
asks `output_path`, `outputs_of`, `find_outputs` or `parse_derivative`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinalprep.bids.derivative_kinds import (
    IMAGE,
    NATIVE,
    OUTPUTS,
    REFERENCE,
    TABLE,
    TEMPLATE,
    TRANSFORM,
    Kind,
    Output,
)
from spinalprep.bids.names import (
    CONTRASTS,
    ENTITY_ORDER,
    MTS_ONLY,
    Entities,
    ImageName,
    Source,
    anat_folder,
    derivative_path,
    frame_name,
    join_name,
    parse_name,
)
from spinalprep.errors import DefectError

SIDECAR = ".json"


@dataclass(frozen=True)
class Derivative:
    """One file of an output folder, by what its name says.

    Attributes
    ----------
    path : Path
        The file; a sidecar stands for what it describes.
    kind : Kind
        What it is.
    image : ImageName
        What it was made of. The contrast is that of the image, or of the frame of a mask or a
        table; empty where the name does not tell (in the template's space).
    space : str or None
        What ``space-`` says.
    auto : bool
        Whether it is the automatic result that was kept beside a manual one.
    name : str or None
        What the user calls a map.
    """

    path: Path
    kind: Kind
    image: ImageName
    space: str | None = None
    auto: bool = False
    name: str | None = None

    def is_of(self, image: Source) -> bool:
        """Tell whether it was made of an image, whatever its ``mt-`` and ``flip-``."""
        return _identity(self.image) == _identity(image)


def output_path(
    out_dir: Path,
    kind: Kind,
    image: Source,
    reference: Source | None = None,
    *,
    template: str = "PAM50",
    auto: bool = False,
    name: str | None = None,
) -> Path:
    """Return where an output is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    kind : Kind
        A key of `OUTPUTS`.
    image : Source
        The image that the output was made of; the reference for everything but images.
    reference : Source, optional
        The reference image, whose contrast ``space-`` names; by default ``image``.
    template : str
        What ``space-`` and ``atlas-`` call the template.
    auto : bool
        The automatic result that is kept beside a manual one (``desc-auto``).
    name : str, optional
        What the user calls a map; of ``metric`` alone.

    Raises
    ------
    DefectError
        If there is no such kind, or a name is missing or not wanted.

    Examples
    --------
    >>> t1w = ImageName.of("sub-01_T1w.nii.gz")
    >>> output_path(Path("out"), "cord_template", t1w).as_posix()
    'out/sub-01/anat/sub-01_space-PAM50_label-SC_mask.nii.gz'
    """
    output = _output(kind)
    if output.named != (name is not None):
        raise DefectError(f"{kind}: got the name {name!r}; expected one where OUTPUTS says named")
    entities = output.entities(auto)
    if name is not None:
        entities["desc"] = name
    if output.space != NATIVE:
        frame = (reference or image).contrast
        entities["space"] = template if output.space == TEMPLATE else frame
    if output.atlas:
        entities["atlas"] = template
    return _path(out_dir, image, output, entities)


def mask_path(out_dir: Path, kind: Kind, image: Source, reference: Source) -> Path:
    """Return where a mask is written on the grid of an image that is not the reference."""
    output = _output(kind)
    entities = output.entities()
    entities["space"] = frame_name(image, reference)
    return _path(out_dir, reference, output, entities)


def transform_path(
    out_dir: Path,
    moving: Source,
    fixed: Source | str,
    extension: str,
    *,
    inverse: bool = False,
) -> Path:
    """Return where a transform is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    moving : Source
        The image that the forward transform resamples.
    fixed : Source or str
        The image, or the name of the template, whose grid it is resampled on.
    extension : str
        ``.txt``, ``.mat``, ``.nii.gz`` or ``.h5``.
    inverse : bool
        Return the path of the way back.
    """
    if isinstance(fixed, str):
        ends = (frame_name(moving, moving), fixed)
    else:
        ends = (frame_name(moving, fixed), frame_name(fixed, fixed))
    here, there = reversed(ends) if inverse else ends
    entities = Entities(from_=here, to=there, mode="image")
    return derivative_path(out_dir, moving, suffix=TRANSFORM, extension=extension, **entities)


def plain_name(stem: str, kind: Kind) -> str:
    """Return the name of an output of one file that belongs to no dataset.

    Examples
    --------
    >>> plain_name("neck", "cord_uncertainty")
    'neck_label-SC_desc-uncertainty_probseg.nii.gz'
    """
    output = _output(kind)
    own = {key: str(value) for key, value in output.entities().items() if value is not None}
    return f"{stem}_{join_name(own, output.suffix, output.extension)}"


def parse_derivative(path: Path) -> Derivative | None:
    """Return what the name of a file says; None where it is none of `OUTPUTS`.

    ``space-`` names the frame of an image where it begins with a contrast, else a template.

    Examples
    --------
    >>> found = parse_derivative(Path("sub-01_run-2_space-T2w_label-SC_mask.json"))
    >>> found.kind, found.image.entities, found.image.contrast
    ('cord', {'run': '2'}, 'T2w')
    """
    entities, suffix, extension = parse_name(path.name)
    if "sub" not in entities or join_name(entities, suffix, extension) != path.name:
        return None
    contrast = suffix if suffix in CONTRASTS else ""
    own = {key: entities.pop(key, None) for key in ("space", "atlas", "label", "seg", "desc")}
    place = (_where(own["space"]), own["atlas"] is not None, own["label"], own["seg"])
    extensions = (IMAGE, TABLE) if extension == SIDECAR else (extension,)
    for ending in extensions:
        for desc in (own["desc"], _ANY):
            known = _KINDS.get(("" if contrast else suffix, ending, *place, desc))
            if known is not None:
                kind, auto = known
                image = _image(entities, contrast or own["space"] or "")
                name = own["desc"] if OUTPUTS[kind].named else None
                return Derivative(path, kind, image, own["space"], auto, name)
    return None


def find_outputs(out_dir: Path, kind: Kind, *, sidecars: bool = False) -> list[Derivative]:
    """Return everybody's outputs of a kind that are there, by their paths.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    kind : Kind
        A key of `OUTPUTS`.
    sidecars : bool
        Look for the JSON that describes it instead.
    """
    output = _output(kind)
    ending = f"*_{output.suffix or '*'}{SIDECAR if sidecars else output.extension}"
    found = map(parse_derivative, sorted(out_dir.glob(f"sub-*/**/{ending}")))
    return [name for name in found if name is not None and name.kind == kind]


def outputs_of(out_dir: Path, image: Source) -> list[Derivative]:
    """Return all outputs of an image, by their paths; not the sidecars.

    ``mt-`` and ``flip-`` make no difference: masks and tables don't say them.
    """
    paths = sorted(anat_folder(out_dir, image).glob("sub-*"))
    found = [parse_derivative(path) for path in paths if path.suffix != SIDECAR]
    return [name for name in found if name is not None and name.is_of(image)]


_Key = tuple[str, str, str, bool, str | None, str | None, str | None]
_ANY = "*"  # of a desc-


def _key(output: Output, auto: bool) -> _Key:
    """Return what tells the names of a kind from all others."""
    desc = _ANY if output.named else output.entities(auto).get("desc")
    place = (output.space, output.atlas, output.label, output.seg)
    return (output.suffix, output.extension, *place, desc)


_KINDS: Mapping[_Key, tuple[Kind, bool]] = {
    _key(output, auto): (kind, auto) for auto in (True, False) for kind, output in OUTPUTS.items()
}


def _output(kind: Kind) -> Output:
    if kind not in OUTPUTS:
        raise DefectError(f"there is no output {kind!r}; expected one of {', '.join(OUTPUTS)}")
    return OUTPUTS[kind]


def _path(out_dir: Path, image: Source, output: Output, entities: Entities) -> Path:
    suffix = output.suffix or image.contrast
    return derivative_path(out_dir, image, suffix=suffix, extension=output.extension, **entities)


def _where(space: str | None) -> str:
    """Return whose space it is."""
    if space is None:
        return NATIVE
    return REFERENCE if space.startswith(CONTRASTS) else TEMPLATE


def _image(entities: Mapping[str, str], contrast: str) -> ImageName:
    """Return what an output was made of; a template is no contrast."""
    rest = {key: value for key, value in entities.items() if key not in ("sub", "ses")}
    known = contrast if contrast in CONTRASTS else ""
    return ImageName(entities["sub"], entities.get("ses"), known, rest)


def _identity(image: Source) -> tuple[str, str | None, dict[str, str]]:
    """Return what the outputs of an image share."""
    kept = (key for key in image.entities if key in ENTITY_ORDER and key not in MTS_ONLY)
    rest = {key: image.entities[key] for key in kept}
    return image.participant, image.session, rest
