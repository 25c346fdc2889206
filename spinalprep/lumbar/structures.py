"""The structures of a lumbar segmentation, in the order of the published table."""

from enum import StrEnum

STRUCTURES = (
    "background",
    "vertebrae",
    "sacrum",
    "intervertebral discs",
    "spinal cavity",
    "subcutaneous fat",
    "epidural fat",
    "intramuscular fat",
    "retroperitoneal fat",
    "nerve root",
    "blood vessels",
    "muscle",
)
VERTEBRAE, SACRUM, DISCS, CANAL = 1, 2, 3, 4
MUSCLE_FAT, MUSCLE = 7, 11


class Alignment(StrEnum):
    """How T1w came to T2w."""

    REGISTERED = "registered"
    HEADERS = "by headers"
    REFUSED = "refused"


def structure_labels() -> dict[str, str]:
    """Return the label map of ``seg-lumbar``: vertebrae are 1.

    Examples
    --------
    >>> structure_labels()["4"]
    'spinal cavity'
    """
    return {str(value): name for value, name in enumerate(STRUCTURES) if value}
