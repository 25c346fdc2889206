"""A volume to be taught, with what is known of it."""

from dataclasses import dataclass

from spinalprep.image import Image
from spinalprep.training.material.people import Kind, Owner


@dataclass(frozen=True)
class LabelledVolume:
    """A volume and what somebody drew in it, LAS; None where nobody did.

    Attributes
    ----------
    person : str
        Whose it is, or the name of a template.
    image, cord, gm, lesion : Image
        Intensities, and shares of the voxel.
    guide : Image
        A mask to center on in place of the cord.
    kind : Kind
        Whether it shows a person, a template or a synthetic subject.
    loose_masks : bool
        Whether the masks lie inside the edge that the image shows.
    lesion_free : bool
        Whether it is known that there is no lesion.
    contrast : str
        One of `hemis.CONTRASTS`; empty where nobody asks.
    """

    person: str
    image: Image
    cord: Image | None = None
    gm: Image | None = None
    lesion: Image | None = None
    guide: Image | None = None
    kind: Kind = Kind.PERSON
    loose_masks: bool = False
    lesion_free: bool = False
    contrast: str = ""

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.person, self.kind)
