"""Hundreds of participants at once."""

import pytest


@pytest.mark.long
@pytest.mark.slow
def test_300_participants_are_scheduled_and_a_second_run_only_checks(toy):
    for value in range(4, 301):
        (toy.dataset / f"sub-{value}.txt").write_text(str(value))
    process = toy.start(worker="local")
    assert process.wait(timeout=1200) == 0
    told = toy.told()
    assert list(told["states"].values()) == ["finished"] * 300
    assert told["run"] == 1500
    process = toy.start(worker="local")
    assert process.wait(timeout=600) == 0
    told = toy.told()
    assert (told["executed"], told["hits"]) == ({}, 1500)
