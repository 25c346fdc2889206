"""The flame graph: shares of what was seen, without waiting, command lines and folders."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from types import ModuleType

PROCESS = 'process 7:"/home/someone/bin/python -m spinalprep /data"'
STACKS = [
    f"{PROCESS};<module> (spinalprep/__main__.py:5);work (spinalprep/a.py:1);deep (b.py:2) 60",
    f"{PROCESS};<module> (spinalprep/__main__.py:5);work (spinalprep/a.py:9) 20",
    f"{PROCESS};Thread.run (threading.py:982);Condition.wait (threading.py:331) 500",
    f"{PROCESS};read (c<d>.py:3) 20",
]


def test_shares_are_of_all_samples_that_did_not_wait(script: Callable[[str], ModuleType]) -> None:
    module = script("flame")
    root = ET.fromstring(module.draw(module.read(STACKS)))
    names = "{http://www.w3.org/2000/svg}"
    boxes = {
        group.findtext(f"{names}title"): float(group.find(f"{names}rect").get("width"))  # type: ignore[union-attr, arg-type]
        for group in root.iter(f"{names}g")
    }
    assert boxes == {
        "all processes: 100.0 %": 1199.5,
        "<module> (spinalprep/__main__.py): 80.0 %": 959.5,
        "work (spinalprep/a.py): 80.0 %": 959.5,
        "deep (b.py): 60.0 %": 719.5,
        "read (c<d>.py): 20.0 %": 239.5,
    }


def test_nothing_of_the_machine_is_told(script: Callable[[str], ModuleType]) -> None:
    module = script("flame")
    drawn = module.draw(module.read(STACKS))
    assert "/home" not in drawn
    assert "/data" not in drawn
