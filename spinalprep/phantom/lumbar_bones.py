"""The bones and discs of a lumbar subject."""

import numpy as np

from spinalprep.phantom.lumbar import Habitus, LumbarPerson, SacralSegment, Vertebra
from spinalprep.phantom.lumbar_canvas import Array, Canvas, Mask, Part, capsule, ellipse
from spinalprep.phantom.lumbar_tissues import DISC

SHELL_MM = 0.9  # of cortical bone
REACH_MM = 75.0  # from the middle of a body to the tip of its spinous process


def draw_bones(canvas: Canvas, person: LumbarPerson) -> None:
    """Draw sacrum, discs and vertebrae."""
    _ala(canvas, person)
    below = (0.0, 0.0, person.sacrum[0].tilt, person.sacrum[0].depth)
    for v in person.vertebrae:
        _arch(canvas.near(v.y, v.z, REACH_MM), v, person.habitus)
    for v in person.vertebrae:
        _disc(canvas, v, below)
        below = (*v.end(1), v.tilt, v.depth)
    for segment in person.sacrum:
        _sacral(canvas, segment)
    for v in person.vertebrae:
        _body(canvas, v, person)


def _body(canvas: Canvas, v: Vertebra, person: LumbarPerson) -> None:
    """Draw a vertebral body with its vein, spurs and changed marrow."""
    part = canvas.near(v.y, v.z, v.depth / 2 + v.spur + 4)
    u, up = part.frame(v.y, v.z, v.tilt)
    w = np.abs(part.x - np.float32(v.x)) / np.float32(v.width / 2)
    if float(w.min()) > 1:
        return
    across = np.clip(1 - w**2.5, 0, None) ** 0.4
    half = np.float32(v.depth / 2)
    waist = 1 - 0.09 * np.clip(1 - (2 * up / v.height) ** 2, 0, None)
    front, back = half * waist * across, half * waist * np.clip(1 - w**6, 0, None) ** 0.17
    hollow = v.concavity * np.clip(1 - (u / half) ** 2, 0, None)
    tall = v.height / 2 - hollow
    inside = (np.abs(up) < tall) & (u < front) & (u > -back)
    core = (np.abs(up) < tall - SHELL_MM) & (u < front - SHELL_MM) & (u > SHELL_MM - back)
    if v.spur > 0.5:
        for end in (-1, 1):
            spur = ellipse((u - front, v.spur + 1), (up - end * (tall - 1), 2.5)) < 1
            inside |= spur & (w < 0.9)
    part.paint(inside, "cortex")
    part.paint(core, "marrow")
    spots = canvas.texture((part.x, part.y, part.z), core, (6.0, 5.0, 4.0))
    part.paint(core & (spots > 2.0), "fatty marrow")
    _changed(part, v, person, core & (np.abs(up) > tall - 6), up)
    length = np.float32(0.38 * v.depth)
    vein = (u + half < length) & (np.abs(up) < 2.2 * (1 - (u + half) / length) + 0.6) & (w < 0.2)
    part.paint(vein & core, "basivertebral vein")


def _changed(part: Part, v: Vertebra, person: LumbarPerson, edge: Mask, up: Array) -> None:
    """Draw the changed marrow beside the discs below and above."""
    place = person.vertebrae.index(v)
    above = person.vertebrae[place + 1].disc if place + 1 < len(person.vertebrae) else None
    for disc, side in ((v.disc, up < 0), (above, up > 0)):
        if disc is not None and disc.changed:
            part.paint(edge & side, "changed marrow")


def _disc(canvas: Canvas, v: Vertebra, below: tuple[float, float, float, float]) -> None:
    """Draw the disc below a vertebra; the bodies are drawn over its surplus."""
    end = v.end(-1)
    y, z, tilt = (end[0] + below[0]) / 2, (end[1] + below[1]) / 2, (v.tilt + below[2]) / 2
    part = canvas.near(y, z, v.depth / 2 + 8)
    u, up = part.frame(y, z, tilt)
    w = part.x - np.float32(v.x)
    across = np.clip(1 - (np.abs(w) / (v.width / 2)) ** 2.5, 0, None) ** 0.4
    half = np.float32(max(v.depth, below[3]) / 2)
    bulge = v.disc.bulge * (0.5 + 0.5 * np.exp(-(((w - v.disc.side_mm) / 7) ** 2)))
    back = half * np.clip(1 - (np.abs(w) / (v.width / 2)) ** 6, 0, None) ** 0.17 + bulge
    tall = v.disc.height / 2 + (v.concavity + 2.5) * np.clip(1 - (u / half) ** 2, 0, None)
    wedge = abs(v.tilt - below[2]) / 2 * np.clip(u, 0, None)  # a disc is higher in front
    outside = np.abs(u) > half
    limit = np.where(outside, np.clip(v.disc.height / 2 - 0.8, 1.2, None), tall + wedge)
    part.paint((np.abs(up) < limit) & (u < half * across + 0.8) & (u > -back), "annulus")
    grade = v.disc.grade
    own = v.disc.height / 2 + v.concavity
    core = ellipse((u + 0.04 * v.depth, 0.34 * v.depth), (up, 0.72 * own), (w, 0.36 * v.width)) < 1
    if grade < 0.72:
        part.paint(core, "nucleus" if grade < 0.42 else "dark nucleus", over=DISC)
    if 0.15 < grade < 0.42:
        part.paint(core & (np.abs(up) < 0.6), "annulus", over=DISC)  # the cleft


def _arch(part: Part, v: Vertebra, around: Habitus) -> None:
    """Draw pedicles, laminae, and articular, transverse and spinous processes."""
    u, up = part.frame(v.y, v.z, v.tilt)
    w = np.abs(part.x - np.float32(v.x))
    p, h, canal = -v.depth / 2, v.height, around.canal
    inner, outer = v.pedicle, v.pedicle + 9.0
    aside = np.clip((w - 4) / 8, 0, 1)  # a lamina runs to the front as it goes aside
    begin, end = p - 9 - (canal - 6) * (1 - aside), p - 19 - (canal - 11) * (1 - aside)
    lamina = capsule(u, up, (begin, 0.15 * h), (end, -0.62 * h)) / 4.6
    _bone(part, lamina, 4.6, (w > 2) & (w < outer + 1))
    upper = capsule(u, up, (p - 10, 0.3 * h), (p - 13, 0.78 * h)) / 4.4
    _bone(part, upper, 4.4, (w > inner) & (w < outer + 2))
    lower = capsule(u, up, (p - 20, -0.5 * h), (p - 21, -0.98 * h)) / 4.2
    _bone(part, lower, 4.2, (w > inner - 3) & (w < outer - 2))
    pedicle = ellipse((u - (p - 3), 11.0), (up - 0.2 * h, 0.29 * h), (w - inner - 4.5, 5.5)) ** 0.5
    _bone(part, pedicle, 7.0, w > 0)
    if v.name.startswith("L"):
        across = ellipse((u - (p - 7), 4.0), (up - 0.12 * h, 6.0)) ** 0.5
        _bone(part, across, 4.5, (w > outer) & (w < outer + 22))
    lowest = v.name in ("L5", "L6")
    start, length = p - canal - 2, (20.0 if lowest else 29.0) * v.height / 27
    slope = 0.18 if v.name.startswith("L") else 0.6
    along = start - u
    middle = -0.28 * h - slope * along
    tall = (6.5 if lowest else 9.0) * v.height / 27
    spinous = np.maximum(np.abs(up - middle) / tall, np.abs(along - length / 2) / (length / 2))
    round_off = ellipse((along - length / 2, length / 1.75), (up - middle, tall * 1.25)) ** 0.5
    _bone(part, np.maximum(spinous, round_off), tall, w < 3.6)


def _bone(part: Part, measure: Array, size: float, near: Mask) -> None:
    """Draw marrow in cortical bone where a measure is below 1; ``size`` is 1 in mm."""
    part.paint((measure < 1) & near, "cortex")
    part.paint((measure < 1 - SHELL_MM / size) & near, "marrow")


def _sacral(canvas: Canvas, s: SacralSegment) -> None:
    """Draw the middle of a segment of the sacrum with the wall behind its canal."""
    part = canvas.near(s.y, s.z, s.height + s.depth)
    u, v = part.frame(s.y, s.z, s.tilt)
    down = np.clip(-v / s.height, 0, 1)
    half = (s.depth + (s.below - s.depth) * down) / 2
    w = np.abs(part.x)
    within = (v <= 0.4) & (v > -s.height - 0.4) & (w < 27)
    flat = np.clip(1 - (w / 27.0) ** 4, 0, None) ** 0.5
    body = within & (u < half * flat) & (u > -half)
    core = body & (u < half * flat - SHELL_MM) & (u > SHELL_MM - half)
    part.paint(body, "sacral cortex")
    part.paint(core & (v < -0.8) & (v > 1.2 - s.height), "sacral marrow")
    remnant = core & (v < 1.4 - s.height) & (np.abs(u) < 0.6 * half)
    part.paint(remnant, "sacral remnant")
    room = 15.0 * s.depth / 33.0 + 3.0  # of the sacral canal
    wall = np.abs(u + half + room + 2.5) / 3.2
    crest = np.abs(u + half + room + 5.0) / 6.0
    for measure, near, thick in ((wall, w < 27, 3.2), (crest, w < 4, 6.0)):
        there = (v <= 0) & (v > -s.height) & near & (s.depth > 9)
        part.paint((measure < 1) & there, "sacral cortex")
        part.paint((measure < 1 - SHELL_MM / thick) & there, "sacral marrow")


def _ala(canvas: Canvas, person: LumbarPerson) -> None:
    """Draw the lateral parts of the sacrum, with the holes of its roots."""
    for n, s in enumerate(person.sacrum[:3]):
        part = canvas.near(s.y, s.z, s.height + s.depth + 10)
        u, v = part.frame(s.y, s.z, s.tilt)
        w = np.abs(part.x)
        aside = np.clip((w - 14) / 30, 0, 1)
        front = s.depth / 2 * (1 - 0.55 * aside)
        back = -s.depth / 2 - 14 * (1 - 0.4 * aside)
        top = 1.0 - 6 * aside if n == 0 else np.float32(0.5)
        within = (v < top) & (v > -s.height - 0.5) & (w > 13) & (w < 52)
        mass = within & (u < front) & (u > back)
        core = mass & (u < front - SHELL_MM) & (u > back + SHELL_MM) & (v < top - SHELL_MM)
        part.paint(mass, "sacral cortex")
        part.paint(core, "sacral marrow")
        hole = ellipse((u + 0.28 * s.depth, 6.0), (v + s.height, 5.5)) < 1
        part.paint(hole & (w > 12) & (w < 27), "epidural fat")
        root = ellipse((u + 0.2 * s.depth, 2.8), (v + s.height - 0.5, 2.8)) < 1
        part.paint(root & (w > 13) & (w < 26), "root")
