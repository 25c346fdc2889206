"""Hundreds of participants at once."""

import sys
import time

import pytest


@pytest.mark.long
@pytest.mark.slow
def test_300_participants_are_scheduled_and_a_second_run_only_checks(toy):
    for value in range(4, 301):
        (toy.dataset / f"sub-{value}.txt").write_text(str(value))
    began = time.monotonic()
    process = toy.start(worker="local")
    assert process.wait(timeout=1200) == 0
    first = time.monotonic() - began
    told = toy.told()
    assert list(told["states"].values()) == ["finished"] * 300
    assert told["run"] == 1500
    began = time.monotonic()
    process = toy.start(worker="local")
    assert process.wait(timeout=600) == 0
    again = time.monotonic() - began
    told = toy.told()
    assert (told["executed"], told["hits"]) == ({}, 1500)
    sys.stdout.write(
        f"\n1500 tasks: {first:.0f} s, {first / 1500:.3f} s each; from the cache {again:.0f} s\n"
    )
    assert again < first
