"""Another packaged network of the cord takes the place of the default one, and of nothing else."""

from pathlib import Path

import numpy as np
import pytest

from spinalprep.app.jobs import gather_shared
from spinalprep.app.parser import parse
from spinalprep.bids.session import Scan
from spinalprep.bids.session_files import SessionFiles
from spinalprep.derivatives.comparable import why_uncalibrated
from spinalprep.errors import UsageError
from spinalprep.image import Image, reorient, save
from spinalprep.networks.cards import packaged_weights
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.dataset import _grid
from spinalprep.phantom.images import render

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


def test_its_card_says_what_it_is_and_its_areas_are_not_held_against_the_healthy(
    tmp_path: Path,
) -> None:
    settings = parse([*WORDS, "-w", str(tmp_path), "--cord-model", "ra-unet"])
    cards = gather_shared(settings).cards
    card = cards["cord"]
    assert (card["task"], card["preset"]) == ("cord", "ra_unet")
    assert "research use only" in card["licence"]
    assert set(card["data"]["people"]).isdisjoint(card["data"]["left_out"])
    save(Image(np.ones((8, 8, 8), np.float32), np.eye(4)), tmp_path / "sub-01_T2w.nii.gz")
    scan = Scan(tmp_path, "sub-01_T2w.nii.gz", "01", None, "T2w")
    files = SessionFiles(scan)
    assert "weights" in why_uncalibrated(files, settings, cards)


@pytest.mark.slow
def test_it_segments_a_cord_in_the_cascade() -> None:
    person = make_person(100_900)
    image = render(person, "T2w", _grid((48, 80, 64), (1.0, 1.0, 1.0)), 100_900)
    networks = Networks(centerline=load_model("centerline"), cord=load_model("ra-unet"))
    found = find_cord(image, networks, views=1).cord.data > 0.5
    inner = slice(6, -6)
    true = truth_cord(person, reorient(image)).astype(float)[..., inner] >= 0.5
    called = found[..., inner]
    assert 2 * (called & true).sum() / (called.sum() + true.sum()) > 0.9
