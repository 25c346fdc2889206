"""What is told of a registration beside its transforms: light, so that ants need not be loaded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CoregistrationMeasures:
    """How one contrast was brought to another.

    Attributes
    ----------
    gain : float
        Rise of the normalized mutual information around the cord; NaN where nothing overlaps.
    accepted : bool
        False where the registration gained too little, and the headers' alignment was kept.
    headers_hold : bool
        Whether that was right because the headers are right by themselves.
    before, after : float
        The similarity by the headers and by the registration.
    """

    gain: float
    accepted: bool
    headers_hold: bool
    before: float
    after: float


@dataclass(frozen=True)
class TemplateMeasures:
    """How well a cord and the template's fit each other.

    Attributes
    ----------
    dice_subject, dice_template : float
        Overlap of the cords on the grid of the subject and of the template.
    jacobian_min : float
        Smallest determinant of the Jacobian inside the cord.
    span_z_mm : tuple of float
        Lowest and highest z of the template that both show.
    """

    dice_subject: float
    dice_template: float
    jacobian_min: float
    span_z_mm: tuple[float, float]
