"""Write outputs with the JSON that says what they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.bids.atomic import put_copy, put_json, put_made, put_text
from spinalprep.bids.columns import describe_columns
from spinalprep.bids.container import generated_by
from spinalprep.bids.derivative_kinds import OUTPUTS, Kind
from spinalprep.bids.derivative_names import output_path
from spinalprep.bids.names import image_stem
from spinalprep.bids.saved_tables import MISSING
from spinalprep.bids.session import Scan
from spinalprep.errors import DefectError
from spinalprep.image import Image, save

PAM50_URL = "https://github.com/spinalcordtoolbox/PAM50"


@dataclass(frozen=True)
class Provenance:
    """Where an output came from.

    Attributes
    ----------
    sources : tuple of str
        BIDS URIs: `Scan.uri` of raw images, `derivative_uri` of our own files.
    checksums : mapping of str to str
        SHA-256 of the sources that are inputs, by URI.
    spatial_reference : str or None
        `reference_uri` or `template_uri`; None for an image in its own space.
    parameters : mapping
        Settings that changed the numbers.
    model : mapping or None
        ``name``, ``version`` and ``sha256`` where a network made it.
    models : tuple of mappings
        The same of each network whose results it was computed from.
    device : str or None
        Where the network ran: ``cpu``, or ``cuda`` and the name of the GPU.
    manual : bool or None
        Whether a person drew it; None where the question makes no sense.
    label_map : mapping of str to str or None
        What the values (or the volumes) stand for.
    level_source : str or None
        What the vertebral levels, and the height in the template's space, follow from:
        ``manual``, ``hint``, ``hint+detected``, ``detected``, ``detected in T2w`` (in another
        image of the session), or ``unknown``, an arbitrary height.
    """

    sources: tuple[str, ...]
    spatial_reference: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    model: Mapping[str, object] | None = None
    device: str | None = None
    manual: bool | None = None
    label_map: Mapping[str, str] | None = None
    level_source: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    models: tuple[Mapping[str, object], ...] = ()


def image_sidecar(kind: Kind, provenance: Provenance, contrast: str = "") -> dict[str, Any]:
    """Return the JSON beside an image.

    Parameters
    ----------
    kind : Kind
        A key of `derivative_kinds.OUTPUTS`.
    provenance : Provenance
        Where it came from.
    contrast : str
        Of an anatomical image; its description begins with it.
    """
    output = OUTPUTS[kind]
    anatomical = not output.suffix
    text = f"{contrast} {output.description}".strip() if anatomical else output.description
    content: dict[str, Any] = {"Description": text, **_common(provenance)}
    if output.mask:
        content["Type"] = "ROI"
    if anatomical:
        content["SkullStripped"] = False
    if kind == "mtr":
        content |= {"SkullStripped": True, "Units": "percent"}  # the cord alone has values
    if provenance.level_source is not None:
        content["LevelSource"] = provenance.level_source
    if provenance.manual is not None:
        content["Manual"] = provenance.manual
    if provenance.label_map is not None:
        content["LabelMap"] = dict(provenance.label_map)
    if kind == "lesions":  # its table shares the JSON
        content |= describe_columns(("volume_mm3",))
    return content


def table_facts(provenance: Provenance) -> dict[str, Any]:
    """Return what the JSON of a table says beside its columns."""
    return _common(provenance)


def transform_sidecar(moving: str, fixed: str, provenance: Provenance) -> dict[str, Any]:
    """Return the JSON beside a transform that resamples ``moving`` on the grid of ``fixed``."""
    text = f"resamples an image in {moving} space onto the grid of {fixed} (ITK, LPS mm)"
    return {"Description": text, **_common(provenance)}


def write_image(
    out_dir: Path,
    path: Path,
    image: Image,
    sidecar: Mapping[str, Any],
    dtype: type = np.float32,
) -> bool:
    """Write an image and its sidecar; tell whether the image changed.

    Parameters
    ----------
    out_dir, path : Path
        The output folder; where in it the image goes (``.nii.gz``).
    image : Image
        Voxel order LAS.
    sidecar : mapping
        From `image_sidecar`.
    dtype : type
        As in `spinalprep.image.save`.
    """
    changed = put_made(out_dir, path, lambda made: save(image, made, dtype))
    put_json(out_dir, sidecar_path(path), sidecar)
    return changed


def write_file(out_dir: Path, path: Path, source: Path, sidecar: Mapping[str, Any] | None) -> bool:
    """Copy a finished file (of the cache) to its name, with a sidecar; tell whether it changed."""
    changed = put_copy(out_dir, path, source)
    if sidecar is not None:
        put_json(out_dir, sidecar_path(path), sidecar)
    return changed


def write_table(
    out_dir: Path,
    path: Path,
    table: pd.DataFrame,
    *,
    dictionary: bool = True,
    more: Mapping[str, Mapping[str, Any]] | None = None,
    about: Mapping[str, Any] | None = None,
) -> bool:
    """Write a table as TSV with ``n/a`` for what is missing, and its data dictionary as JSON.

    ``dictionary=False`` leaves the JSON out (``seg-lesions_dseg.tsv`` shares its image's);
    ``more`` is what else is said of columns, by their names, and ``about`` of the table.
    """
    changed = put_text(out_dir, path, table_text(table))
    if dictionary:
        described = describe_columns(map(str, table.columns))
        for name, facts in (more or {}).items():
            described[name] |= facts
        put_json(out_dir, sidecar_path(path), {**(about or {}), **described})
    return changed


def remove_outputs(out_dir: Path, paths: Iterable[Path]) -> list[Path]:
    """Remove outputs with their sidecars; return those that were there.

    Raises
    ------
    DefectError
        If a path lies outside the output folder.
    """
    removed = []
    for path in paths:
        if not path.parent.resolve().is_relative_to(out_dir.resolve()):
            raise DefectError(f"{path} is not in {out_dir}")
        if path.is_file():
            path.unlink()
            sidecar_path(path).unlink(missing_ok=True)
            removed.append(path)
    return removed


def table_text(table: pd.DataFrame) -> str:
    """Return a table as BIDS wants it: tabs, ``n/a``, ``true`` and ``false``, six digits."""
    cells = table.astype(object)
    cells = cells.where(cells.notna(), MISSING).map(_cell)
    text: str = cells.to_csv(sep="\t", index=False, lineterminator="\n")
    return text


def with_identity(table: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Return a table that says in its first columns whose it is.

    ``participant_id``, ``session_id``, ``run``, ``contrast`` and, where the table has it,
    ``vertebral_level`` come first.
    """
    identity = {
        "participant_id": f"sub-{scan.participant}",
        "session_id": MISSING if scan.session is None else f"ses-{scan.session}",
        "run": scan.entities.get("run", MISSING),
        "contrast": scan.contrast,
    }
    first = ["vertebral_level"] if "vertebral_level" in table else []
    rest = [name for name in table.columns if name not in (*identity, *first)]
    ordered = table[[*first, *rest]].copy()
    for place, (name, value) in enumerate(identity.items()):
        ordered.insert(place, name, value)
    return ordered


def sidecar_path(path: Path) -> Path:
    """Return the JSON beside a file."""
    stem = image_stem(path)
    return path.with_name((stem if stem != path.name else path.stem) + ".json")


def derivative_uri(out_dir: Path, path: Path) -> str:
    """Return the BIDS URI of a file of the output folder."""
    return f"bids::{path.relative_to(out_dir).as_posix()}"


def reference_uri(out_dir: Path, reference: Scan) -> str:
    """Return the ``SpatialReference`` of files on the grid of the reference image."""
    return derivative_uri(out_dir, output_path(out_dir, "preproc", reference))


def template_uri(name: str, release: str | None, identity: str) -> str:
    """Return the ``SpatialReference`` of files in the template's space, with its release.

    Where the release is not known, the digest of the template's content stands for it.
    """
    if name == "PAM50":
        return f"{PAM50_URL}/releases/tag/{release}" if release else f"{PAM50_URL}#{identity}"
    return f"urn:spinalprep:template-{name}:{release or identity}"


def _common(provenance: Provenance) -> dict[str, Any]:
    """Return what all sidecars say."""
    content: dict[str, Any] = {"Sources": list(provenance.sources)}
    if provenance.checksums:
        content["SourcesSHA256"] = dict(provenance.checksums)
    if provenance.spatial_reference is not None:
        content["SpatialReference"] = provenance.spatial_reference
    content["GeneratedBy"] = generated_by()
    if provenance.parameters:
        content["Parameters"] = dict(provenance.parameters)
    if provenance.model is not None:
        content["Model"] = dict(provenance.model)
    if provenance.models:
        content["Models"] = [dict(model) for model in provenance.models]
    if provenance.device is not None:
        content["Device"] = provenance.device
    return content


def _cell(value: object) -> str:
    """Return a cell as text."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}" if np.isfinite(value) else MISSING
    return " ".join(str(value).replace('"', "'").split()) or MISSING  # nothing to escape
