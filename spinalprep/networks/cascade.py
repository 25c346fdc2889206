"""The whole way from an image to its cord: one list of steps, for the library and for the App.

`run_cascade` says in which order the steps follow each other and what each of them gets. How a step
is run is for `Steps` to say: `Here` calls the algorithm at once; ``spinalprep.workflows.cord`` adds
a task to a graph.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.cord.ends import Trimmed, trim_ends
from spinalprep.cord.mask import binarise
from spinalprep.cord.trace import find_centerline
from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.errors import ModelError
from spinalprep.image import Image, back_on, upright
from spinalprep.networks.views import VIEWS

if TYPE_CHECKING:  # torch takes seconds to load, and who builds a graph needs none
    from spinalprep.networks.predict import Prediction
    from spinalprep.networks.weights import Model

Volume = TypeVar("Volume")  # an image: in memory, or the file that a task will write
Line = TypeVar("Line")  # a centerline
Network = TypeVar("Network")


@dataclass(frozen=True, kw_only=True)
class Networks(Generic[Network]):
    """The networks of the cascade, by the tasks on their cards.

    Attributes
    ----------
    centerline, cord
        What every image needs.
    gm, lesion
        None: gray matter and lesions are then what the network of the cord says of them.
    """

    centerline: Network
    cord: Network
    gm: Network | None = None
    lesion: Network | None = None


TASKS = tuple(field.name for field in fields(Networks))


@dataclass(frozen=True)
class Maps(Generic[Volume]):
    """What a network says along a centerline; see `Prediction`, whose ``sd`` is ``uncertainty``."""

    cord: Volume
    gm: Volume
    lesion: Volume
    uncertainty: Volume
    plain: Volume
    moved: MovedOutline | None = None


@dataclass(frozen=True)
class Found(Generic[Volume, Line]):
    """The cord of an image.

    Attributes
    ----------
    cord : Image, shape (I, J, K)
        Its mask, 0 or 1.
    probability, gm, lesion : Image of float32, shape (I, J, K)
        Of cord, gray matter and lesions, 0 to 1; zero beyond the ends of the cord.
    uncertainty : Image of float32, shape (I, J, K)
        Standard deviation of the cord over the views of a window.
    centerline : Centerline
        Through the middle of the mask, or the one that was given, clipped to the cord; RAS+ mm.
    confidence : float
        Mean heat along the curve that led to it, 0 to 1; 1 where it was given.
    warnings : list of str
        What was left out at the ends, and what is doubtful; axial slices are counted upwards
        from 0, the lowest.
    unseen : int
        Axial slices in which the centerline went on without any cord.
    doubtful : list of int
        Axial slices of the cord in which its outline is doubtful: in the mask, but
        excluded from all means.
    moved : MovedOutline or None
        How far the outline was moved to the visible edge; None where it was not to be.
    """

    cord: Volume
    probability: Volume
    gm: Volume
    lesion: Volume
    uncertainty: Volume
    centerline: Line
    confidence: float
    warnings: list[str]
    unseen: int
    doubtful: list[int]
    moved: MovedOutline | None = None


class Steps(ABC, Generic[Volume, Line, Network]):
    """How each step of the cascade is run."""

    @abstractmethod
    def find_heat(self, image: Volume, network: Network) -> Volume:
        """Map the probability of the centerline."""

    @abstractmethod
    def find_centerline(self, heat: Volume) -> tuple[Line, float]:
        """Find the best curve through a heat map, and how sure it is."""

    @abstractmethod
    def segment_cord(
        self, image: Volume, centerline: Line, network: Network, *, at_edge: bool
    ) -> Maps[Volume]:
        """Map cord, gray matter and lesions along a centerline."""

    @abstractmethod
    def segment_gm(self, image: Volume, centerline: Line, cord: Volume, network: Network) -> Volume:
        """Map the gray matter with a network of its own."""

    @abstractmethod
    def segment_lesion(self, image: Volume, centerline: Line, network: Network) -> Volume:
        """Map lesions with a network of their own."""

    @abstractmethod
    def trim_ends(self, maps: Maps[Volume], centerline: Line) -> Trimmed[Volume, Line]:
        """Leave out what lies beyond the ends of the cord."""

    @abstractmethod
    def binarise(self, probability: Volume, centerline: Line) -> Volume:
        """Turn the probability of the cord into its mask."""

    @abstractmethod
    def centre(self, cord: Volume) -> Line:
        """Return the centerline through the middle of a mask."""


def run_cascade(
    steps: Steps[Volume, Line, Network],
    image: Volume,
    networks: Networks[Network],
    centerline: Line | None = None,
    *,
    at_edge: bool = False,
) -> Found[Volume, Line]:
    """Find the centerline, or take a given one; then cord, gray matter and lesions along it.

    A centerline that was found leads to the cord only: the one that comes out runs through the
    middle of that cord. A given one stays as it is, within the ends of the cord. ``at_edge``: the
    outline of the cord is moved to the edge that the image shows.
    """
    line, confidence = centerline, 1.0
    if line is None:
        line, confidence = steps.find_centerline(steps.find_heat(image, networks.centerline))
    maps = steps.segment_cord(image, line, networks.cord, at_edge=at_edge)
    if networks.gm is not None:
        maps = replace(maps, gm=steps.segment_gm(image, line, maps.cord, networks.gm))
    if networks.lesion is not None:
        maps = replace(maps, lesion=steps.segment_lesion(image, line, networks.lesion))
    kept = steps.trim_ends(maps, line)
    cord = steps.binarise(kept.cord, kept.centerline)
    return Found(
        cord=cord,
        probability=kept.cord,
        gm=kept.gm,
        lesion=kept.lesion,
        uncertainty=maps.uncertainty,
        centerline=kept.centerline if centerline is not None else steps.centre(cord),
        confidence=confidence,
        warnings=kept.warnings,
        unseen=kept.unseen,
        doubtful=kept.doubtful,
        moved=maps.moved,
    )


def find_cord(
    image: Image,
    networks: "Networks[Model]",
    centerline: Centerline | None = None,
    *,
    views: int = VIEWS,
    at_edge: bool = False,
) -> Found[Image, Centerline]:
    """Find centerline, cord, gray matter and lesions.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    networks : Networks of Model
    centerline : Centerline, optional
        RAS+ mm; by default it is found.
    views : int
        See `segment`.
    at_edge : bool
        Move the outline of the cord to the edge that the image shows.

    Returns
    -------
    found : Found
        On the grid of ``image``. The same bits as the App's graph on an image in LAS: what a file
        between two tasks rounds is rounded here.

    Raises
    ------
    NoCordError
        If the networks see none.
    """
    found = run_cascade(
        Here(views), upright(image).as_saved(), networks, centerline, at_edge=at_edge
    )
    volumes = (found.cord, found.probability, found.gm, found.lesion, found.uncertainty)
    cord, soft, gm, lesion, spread = (image.with_data(back_on(v.data, image)) for v in volumes)
    return replace(found, cord=cord, probability=soft, gm=gm, lesion=lesion, uncertainty=spread)


def by_task(models: "Iterable[Model]") -> "dict[str, Model]":
    """Return networks by the tasks on their cards, which are the fields of `Networks`.

    Raises
    ------
    ModelError
        If a card's task is none of the cascade's, or two have the same.
    """
    found: dict[str, Model] = {}
    for model in models:
        task = str(model.card.get("task"))
        if task not in TASKS or task in found:
            raise ModelError(f"weights of task {task}; expected one each of {', '.join(TASKS)}")
        found[task] = model
    return found


@dataclass(frozen=True)
class Here(Steps[Image, Centerline, "Model"]):
    """The steps at once, in memory; ``views`` as in `segment`."""

    views: int = VIEWS

    def find_heat(self, image: Image, network: "Model") -> Image:
        """See `predict.find_heat`."""
        from spinalprep.networks.predict import find_heat

        return find_heat(image, network).as_saved()

    def find_centerline(self, heat: Image) -> tuple[Centerline, float]:
        """See `trace.find_centerline`."""
        line, confidence = find_centerline(heat)
        return line.as_saved(), confidence

    def segment_cord(
        self, image: Image, centerline: Centerline, network: "Model", *, at_edge: bool = False
    ) -> Maps[Image]:
        """See `predict.segment_cord`."""
        from spinalprep.networks.predict import segment_cord

        found = segment_cord(image, centerline, network, self.views, at_edge=at_edge)
        return as_maps(image, found)

    def segment_gm(
        self, image: Image, centerline: Centerline, cord: Image, network: "Model"
    ) -> Image:
        """See `predict.grey_matter`."""
        from spinalprep.networks.predict import grey_matter

        found = grey_matter(image, centerline, cord.data, network, self.views)
        return image.with_data(found).as_saved()

    def segment_lesion(self, image: Image, centerline: Centerline, network: "Model") -> Image:
        """See `predict.lesions`."""
        from spinalprep.networks.predict import lesions

        return image.with_data(lesions(image, centerline, network, self.views)).as_saved()

    def trim_ends(self, maps: Maps[Image], centerline: Centerline) -> Trimmed[Image, Centerline]:
        """See `ends.trim_ends`."""
        kept = trim_ends(maps.cord, maps.gm, maps.lesion, maps.plain, centerline)
        cord, gm, lesion = (image.as_saved() for image in (kept.cord, kept.gm, kept.lesion))
        line = kept.centerline.as_saved()
        return replace(kept, cord=cord, gm=gm, lesion=lesion, centerline=line)

    def binarise(self, probability: Image, centerline: Centerline) -> Image:
        """See `mask.binarise`."""
        return probability.with_data(binarise(probability, centerline)).as_saved()

    def centre(self, cord: Image) -> Centerline:
        """See `centerline.centerline_from_mask`."""
        return centerline_from_mask(cord).as_saved()


def as_maps(image: Image, found: "Prediction") -> Maps[Image]:
    """Return what was predicted as images on the grid of the one that was looked at."""
    volumes = (found.cord, found.gm, found.lesion, found.sd, found.plain)
    cord, gm, lesion, sd, plain = (image.with_data(volume).as_saved() for volume in volumes)
    return Maps(cord, gm, lesion, sd, plain, found.moved)
