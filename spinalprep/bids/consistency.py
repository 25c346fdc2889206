"""Whether the people's results can be compared: one version, one model, one template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_NAMES = 10


@dataclass(frozen=True)
class Origin:
    """How the results of one image were made.

    Attributes
    ----------
    name : str
        Participant, session and run.
    version : str
        Of spinalprep.
    template : str
        Its name and identity.
    models : mapping of str to str
        Network and sha256 of its weights; what a person drew has none.
    parameters : mapping of str to object
        Settings that changed numbers.
    """

    name: str
    version: str
    template: str
    models: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)


def find_differences(origins: Sequence[Origin]) -> list[str]:
    """Say in one line each what differs between people, and who.

    Parameters
    ----------
    origins : sequence of Origin
        Of the people who count.

    Returns
    -------
    lines : list of str
        Empty where all agree. The commonest value comes first; the people of the others are
        named, up to ten. A model or setting that a person does not have (a mask drawn by hand)
        is no difference.
    """
    aspects: dict[str, dict[str, list[str]]] = {}
    for origin in origins:
        values: dict[str, object] = {"version": origin.version, "template": origin.template}
        values |= {f"model {key}": value[:12] for key, value in origin.models.items()}
        values |= {f"parameter {key}": value for key, value in origin.parameters.items()}
        for aspect, value in values.items():
            aspects.setdefault(aspect, {}).setdefault(str(value), []).append(origin.name)
    return [_line(aspect, groups) for aspect, groups in aspects.items() if len(groups) > 1]


def _line(aspect: str, groups: Mapping[str, list[str]]) -> str:
    """Return one line on one aspect."""
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    (usual, most), others = ranked[0], ranked[1:]
    parts = [f"{value} in {_names(names)}" for value, names in others]
    return f"{aspect}: {usual} in {len(most)} participants, but {'; '.join(parts)}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    rest = len(names) - MOST_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown
