"""Tasks that turn lesion probabilities into lesions and their measures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.files import read_centerline, write_centerline
from spinalprep.engine.tasks import define_task
from spinalprep.image import load, save
from spinalprep.lesion.aligned import AlignedLesions
from spinalprep.lesion.calling import DRAWN, LesionRule, call_lesions
from spinalprep.lesion.evidence import EVIDENCE_COLUMNS, Evidence, evidence_table
from spinalprep.lesion.files import read_aligned, write_aligned
from spinalprep.lesion.fusion import join_lesions, seen_table
from spinalprep.lesion.instances import lesion_volumes, share_outside
from spinalprep.lesion.measures import measure_lesions, sum_lesions, top_of_c1
from spinalprep.lesion.regions import dominant_columns, measure_regions
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.registration.measures import CoregistrationMeasures
from spinalprep.tables import read_table, write_table
from spinalprep.template.regions import list_regions

LESIONS = Path("lesions.npz")  # in the working folder of a task
ALONE = "union"  # of one image: its lesions as they are


@define_task(outputs=["mask", "instances", "soft", "evidence", "volumes", "refused", "outside"])
def CallLesions(
    lesion: NiftiGz,
    image: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    threshold: float,
    min_mm3: float,
    drawn: bool,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, list[float], list[float], float]:
    """Call the lesions inside the cord; tell what the image shows of each, and was refused."""
    probability, mask = load(lesion.fspath), load(cord.fspath)
    rule = DRAWN if drawn else LesionRule(threshold, min_mm3)
    line = read_centerline(Path(centerline.fspath))
    called = call_lesions(probability, load(image.fspath), mask, line, rule)
    soft = probability.data * (mask.data > 0) * ~called.beside_refused()
    return (
        save(mask.with_data(called.labels > 0), Path("lesion.nii.gz"), dtype=np.uint8),
        save(mask.with_data(called.labels), Path("lesions.nii.gz"), dtype=np.int16),
        save(probability.with_data(soft), Path("soft.nii.gz")),
        write_table(evidence_table(called.evidence), Path("evidence.tsv")),
        lesion_volumes(mask.with_data(called.labels)),
        lesion_volumes(mask.with_data(called.refused)),
        share_outside(probability, mask, rule.threshold),
    )


@dataclass(frozen=True)
class LesionNetworks:
    """What finds the cord of another image, and its lesions; weights and their cards."""

    centerline: File
    centerline_card: File
    cord: File
    cord_card: File
    lesion: File
    lesion_card: File


@define_task(outputs=["lesion", "cord", "centerline", "warnings"])
def SegmentElsewhere(
    image: NiftiGz, name: str, networks: LesionNetworks, measures: CoregistrationMeasures
) -> tuple[NiftiGz | None, NiftiGz | None, File | None, list[str]]:
    """Find cord and lesions of another image; nothing where it is not on the reference."""
    if not (measures.accepted or measures.headers_hold):
        return (
            *(None, None, None),
            [f"{name} could not be registered: lesions were not looked for there"],
        )
    from spinalprep.lesion.elsewhere import segment_elsewhere
    from spinalprep.networks.cascade import Networks
    from spinalprep.networks.weights import load_model

    files = networks.centerline, networks.cord, networks.lesion
    line, cord, lesion = (load_model(Path(file.fspath)) for file in files)
    loaded = Networks(centerline=line, cord=cord, lesion=lesion)
    found, warnings = segment_elsewhere(load(image.fspath), name, loaded)
    if found is None:
        return None, None, None, warnings
    return (
        save(found.lesion, Path("lesion.nii.gz")),
        save(found.cord, Path("cord.nii.gz"), dtype=np.uint8),
        write_centerline(found.centerline, Path("centerline.tsv")),
        warnings,
    )


@define_task(outputs=["lesions", "warnings"])
def CallElsewhere(
    name: str,
    image: NiftiGz,
    lesion: NiftiGz | None,
    cord: NiftiGz | None,
    centerline: File | None,
    reference_cord: NiftiGz,
    reference_line: File,
    to_image: File,
    to_reference: File,
    threshold: float,
    min_mm3: float,
    why: list[str],
) -> tuple[File, list[str]]:
    """Call the lesions of another image on its grid and bring them to that of the reference.

    ``why`` are the warnings so far: why there is no cord, for one.
    """
    if lesion is None or cord is None or centerline is None:
        return write_aligned([], LESIONS), why
    from spinalprep.lesion.elsewhere import Reference, lesions_elsewhere
    from spinalprep.registration.transform import read_itk

    reference = Reference(
        load(reference_cord.fspath),
        read_centerline(Path(reference_line.fspath)),
        read_itk(Path(to_image.fspath)),
        read_itk(Path(to_reference.fspath)),
    )
    found = load(lesion.fspath), load(cord.fspath), read_centerline(Path(centerline.fspath))
    rule = LesionRule(threshold, min_mm3)
    aligned, warnings = lesions_elsewhere(name, load(image.fspath), found, reference, rule)
    return write_aligned(aligned, LESIONS), [*why, *warnings]


@define_task(outputs=["lesions"])
def CollectLesions(before: File | None, found: File | None) -> File:
    """Put the lesions of the images of two files into one; None where a search failed."""
    return write_aligned([*_aligned(before), *_aligned(found)], LESIONS)


@define_task(outputs=["mask", "instances", "soft", "evidence", "volumes", "searched"])
def JoinLesions(
    own: str,
    instances: NiftiGz,
    soft: NiftiGz,
    evidence: File,
    cord: NiftiGz,
    others: File | None,
    threshold: float,
    min_mm3: float,
    fusion: str,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, list[float], list[str]]:
    """Join the lesions of the reference and of other images of the session."""
    mask, probability, labels = load(cord.fspath), load(soft.fspath), load(instances.fspath)
    rows = read_table(Path(evidence.fspath))[list(EVIDENCE_COLUMNS)].astype(float)
    reference = AlignedLesions(
        own,
        probability.data.astype(np.float32),
        np.ones(labels.shape, bool),
        labels.data.astype(np.int32),
        tuple(Evidence(share, z, cnr, 0) for share, z, cnr in rows.to_numpy().tolist()),
    )
    images = [reference, *_aligned(others)]
    how = fusion if len(images) > 1 else ALONE
    joined = join_lesions(images, mask, LesionRule(threshold, min_mm3), how)
    numbered = mask.with_data(joined.labels)
    return (
        save(mask.with_data(joined.labels > 0), Path("joined.nii.gz"), dtype=np.uint8),
        save(numbered, Path("joined-lesions.nii.gz"), dtype=np.int16),
        save(probability.with_data(joined.probability), Path("joined-soft.nii.gz")),
        write_table(seen_table(joined.lesions), Path("seen.tsv")),
        lesion_volumes(numbered),
        [one.name for one in images],
    )


def _aligned(file: File | None) -> list[AlignedLesions]:
    """Return the images in a file; none where the search failed."""
    return read_aligned(Path(file.fspath)) if file is not None else []


@define_task(outputs=["table", "regions", "totals"])
def MeasureLesions(
    instances: NiftiGz,
    evidence: File,
    refused: list[float],
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None,
    levels: File | None,
    template_z: dict[int, float],
    shares: File | None,
    names: list[str],
    combined: dict[str, list[int]],
    doubtful: list[int],
) -> tuple[File, File, File]:
    """Measure every lesion, all together, and where they lie."""
    labels, mask = load(instances.fspath), load(cord.fspath)
    line = read_centerline(Path(centerline.fspath))
    vertebra = load(vertebrae.fspath) if vertebrae is not None else None
    found = read_levels(Path(levels.fspath)) if levels is not None else Levels({})
    share = np.load(shares.fspath) if shares is not None and found.known else None
    top = top_of_c1(found.disc_s, template_z)
    table = measure_lesions(labels, mask, line, vertebra, top, doubtful)
    where = measure_regions(labels, mask, vertebra, share, list_regions(names, combined))
    for more in (read_table(Path(evidence.fspath)), dominant_columns(where)):
        table = table.merge(more, on="lesion", how="left")
    return (
        write_table(table, Path("lesions.tsv")),
        write_table(where, Path("regions.tsv")),
        write_table(sum_lesions(table, labels, mask, refused), Path("totals.tsv")),
    )
