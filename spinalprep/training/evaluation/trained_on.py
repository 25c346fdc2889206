"""Whom networks were trained on: of these people no figure is a measure of accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinalprep.training.material.cases import Case
from spinalprep.training.material.dataset import packaged_persons

UNKNOWN = "n/a"


@dataclass(frozen=True)
class TrainedOn:
    """Cards of networks, and the dataset whose people are asked for.

    Attributes
    ----------
    cards : sequence of mapping
        Model cards, which name people, and the datasets that these are of.
    dataset : str
        What the dataset that is judged calls itself. Where it or a card says nothing, names alone
        decide: rather once too often than an accuracy that is none.
    """

    cards: Sequence[Mapping[str, Any]]
    dataset: str = ""

    def tell(self, case: Case, sha256: frozenset[str]) -> str:
        """Tell whether weights saw the person of an image in training: yes, no, n/a."""
        used = [card for card in self.cards if card["sha256"] in sha256]
        if not used or len(used) < len(sha256):
            return UNKNOWN
        return "yes" if any(self._names(card, case) for card in used) else "no"

    def _names(self, card: Mapping[str, Any], case: Case) -> bool:
        """Tell whether a card names a person, who may be called by a visit."""
        datasets = set(card["data"].get("datasets", [""]))
        if self.dataset and not {self.dataset, ""} & datasets:
            return False
        names = {case.person, case.participant}
        visits = packaged_persons(datasets)
        names |= {visits.get(name, name) for name in names}
        return bool(names & set(card["data"]["people"]))
