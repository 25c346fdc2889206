"""A flame graph of a run as one small SVG, from what py-spy recorded.

py-spy record --subprocesses -f raw -o PROFILE -- spinalprep BIDS_DIR OUT_DIR participant ...
python benchmarks/flame.py PROFILE FLAME.svg

Every box is a function, below what it calls; its width is the share of the samples, of all
processes together. Waiting threads, machinery of Python and boxes under 0.3 % are left out, and so
are command lines and folders. Hovering over a box tells its share.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH, ROW, LETTER = 1200.0, 17.0, 6.2  # pixels; of a letter, about
SMALLEST = 0.003  # share of all samples
DEEPEST = 26
_MACHINERY = re.compile(
    r"^process |importlib\._bootstrap|concurrent/futures|asyncio/|threading\.py|runpy|forkserver"
    r"|multiprocessing/|_call_impl|_wrapped_call|<string>|_call_with_frames|cloudpickle/"
)
_WAITING = re.compile(
    r"^(wait \(multiprocessing|Condition\.wait|EpollSelector|_PollLike|Event\.wait|_leave_with)"
)
_COLOURS = (
    ("spinalprep/interfaces", "#e8743b"),
    ("spinalprep/reports", "#7fb77e"),
    ("spinalprep/networks", "#d1495b"),
    ("spinalprep", "#f2a65a"),
    ("torch", "#c98bb9"),
    ("<module>", "#b8bfc8"),
    ("", "#a9c5de"),
)


@dataclass
class Box:
    """A function in its place: samples in it and in what it calls."""

    samples: int = 0
    inner: dict[str, "Box"] = field(default_factory=dict)


def read(lines: Iterable[str]) -> Box:
    """Return the root of all stacks of a profile: ``frame;frame;... count`` per line.

    Examples
    --------
    >>> root = read(["process 1:x;f (a/b.py:3);g (a/b.py:9) 2", "f (a/b.py:4) 1"])
    >>> root.samples, root.inner["f (a/b.py)"].samples
    (3, 3)
    """
    root = Box()
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        if any(map(_WAITING.search, frames)):
            continue
        box = root
        box.samples += int(count)
        for frame in _told(frames):
            box = box.inner.setdefault(frame, Box())
            box.samples += int(count)
    return root


def _told(frames: Iterable[str]) -> Iterator[str]:
    """Yield the frames that say something, each once in a row."""
    before = ""
    for frame in frames:
        if frame == before or not frame.strip() or _MACHINERY.search(frame):
            continue
        if frame.startswith(" main("):
            continue
        yield frame
        before = frame


def draw(root: Box) -> str:
    """Return the flame graph as SVG."""
    total = max(root.samples, 1)
    boxes, depth = [], 0
    waiting = [(root, 0.0, 0, "all processes")]
    while waiting:
        box, left, level, name = waiting.pop()
        boxes.append(_box(name, left, level, box.samples / total))
        depth = max(depth, level)
        if level == DEEPEST:
            continue
        for inner_name, inner in sorted(box.inner.items(), key=lambda one: -one[1].samples):
            if inner.samples >= SMALLEST * total:
                waiting.append((inner, left, level + 1, inner_name))
            left += inner.samples / total
    height = (depth + 1) * ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" '
        f'font-family="sans-serif" font-size="11">\n{"".join(boxes)}</svg>\n'
    )


def _box(name: str, left: float, level: int, share: float) -> str:
    """Return one box with as much of its name as fits."""
    colour = next(colour for part, colour in _COLOURS if part in name)
    x, y, width = left * WIDTH, level * ROW, share * WIDTH
    room = int((width - 4) / LETTER)
    shown = name if len(name) <= room else name[: room - 1] + "…" if room > 4 else ""
    label = f'<text x="{x + 2:.1f}" y="{y + 12:.1f}">{escape(shown)}</text>' if shown else ""
    return (
        f'<g><title>{escape(name)}: {100 * share:.1f} %</title><rect x="{x:.1f}" y="{y:.1f}" '
        f'width="{max(width - 0.5, 0.3):.1f}" height="{ROW - 1:g}" fill="{colour}"/>{label}</g>\n'
    )


def main() -> None:
    """Write the SVG."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", type=Path)
    parser.add_argument("svg", type=Path)
    given = parser.parse_args()
    root = read(given.profile.read_text(encoding="utf-8").splitlines())
    given.svg.write_text(draw(root), encoding="utf-8")
    sys.stdout.write(f"{root.samples} samples, {given.svg.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
