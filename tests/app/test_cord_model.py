"""Another packaged network of the cord takes the place of the default one, and of nothing else."""

from pathlib import Path

import pytest

from spinalprep.app.jobs import gather_shared
from spinalprep.app.parser import parse
from spinalprep.errors import UsageError
from spinalprep.networks.cards import packaged_weights

WORDS = ["/in", "/out", "participant", "--template", "Generic"]


def weights(tmp_path: Path, *more: str) -> dict[str, Path]:
    settings = parse([*WORDS, "-w", str(tmp_path), *more])
    return gather_shared(settings).weights


def test_it_is_chosen_by_name_and_the_others_stay(tmp_path: Path) -> None:
    usual, other = weights(tmp_path), weights(tmp_path, "--cord-model", "ra-unet")
    assert other.pop("cord") == packaged_weights("ra-unet")
    assert usual.pop("cord") == packaged_weights("cord")
    assert usual == other
    assert packaged_weights("ra-unet").stat().st_size < 4e6


def test_two_networks_for_the_cord_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        weights(tmp_path, "--cord-model", "ra-unet", "--model", "cord=/mine.safetensors")


def test_its_card_says_what_it_is_and_how_much_worse(tmp_path: Path) -> None:
    settings = parse([*WORDS, "-w", str(tmp_path), "--cord-model", "ra-unet"])
    card = gather_shared(settings).cards["cord"]
    assert (card["task"], card["preset"]) == ("cord", "ra_unet")
    assert "research use only" in card["licence"]
    assert card["figures"]["people left out"] == 3
