"""What is around the spine of a lumbar subject: fat, muscles, vessels, the belly."""

import numpy as np

from spinalprep.phantom.lumbar import LumbarPerson, profile
from spinalprep.phantom.lumbar_canvas import Array, Canvas, Mask, ellipse
from spinalprep.phantom.lumbar_tissues import NUMBER

SKIN_MM = 2.0


def draw_trunk(canvas: Canvas, person: LumbarPerson) -> None:
    """Draw everything before the spine is drawn over it."""
    part, around = canvas.whole, person.habitus
    z, back, _ = profile(person)
    rear = np.interp(part.z, z, back).astype(np.float32)  # posterior wall of the bodies
    front = rear + _depth(person, part.z)
    fascia = rear - _to_fascia(person, part.z, part.x)
    skin = fascia - _fat(person, part.z)
    belly = front + around.belly
    wall = belly - 6.0 - 11.0 * around.fat
    inside = (part.y > skin) & (part.y < belly)
    part.paint(inside, "skin")
    part.paint((part.y > skin + SKIN_MM) & (part.y < belly - SKIN_MM), "subcutaneous fat")
    _belly(canvas, (part.y > front) & (part.y < wall), part.y > wall - 9)
    part.paint((part.y > fascia) & (part.y <= rear), "muscle")
    part.paint((part.y > fascia) & (part.y < fascia + 1.0), "ligament")
    deep = rear + 0.3 * (front - rear)  # bodies reach farther back than their height tells
    part.paint((part.y > rear) & (part.y <= deep), "epidural fat")
    beyond = np.where(np.abs(part.x) > 20, 12, 0)
    behind = np.where(np.abs(part.x) > 18, rear, deep)
    part.paint((part.y > behind) & (part.y < front + beyond), "retroperitoneal fat")
    before = around.retroperitoneal * (1 + 0.5 * np.sin(part.z / 35.0 + 1))
    part.paint((part.y > front) & (part.y < front + before), "retroperitoneal fat")
    _psoas(canvas, person, front)
    _streaks(canvas, person, rear, fascia)
    _vessels(canvas, person, front)


def _depth(person: LumbarPerson, height: Array) -> Array:
    """Return how deep the bodies are at a height."""
    knots = [(s.z, s.depth) for s in reversed(person.sacrum)]
    knots += [(v.z, v.depth) for v in person.vertebrae]
    z, depth = np.array(sorted(knots)).T
    return np.asarray(np.interp(height, z, depth), np.float32)


def _to_fascia(person: LumbarPerson, height: Array, x: Array) -> Array:
    """Return how far the fascia is behind the posterior wall of the bodies."""
    canal, bulge = person.habitus.canal, person.habitus.bulge
    top = person.vertebrae[-1].z
    z = [-110.0, -60.0, -10.0, 25.0, 70.0, top]
    tips = [12.0, 18.0, canal + 16, canal + 27, canal + 33, canal + 34]
    out = [0.0, 3.0, 0.9 * bulge, bulge, bulge, 0.7 * bulge]
    aside = np.clip(np.abs(x) / 22.0, 0, 1) ** 1.5
    deep = np.interp(height, z, tips) + np.interp(height, z, out) * aside
    return deep.astype(np.float32)


def _fat(person: LumbarPerson, height: Array) -> Array:
    """Return how thick the fat under the skin of the back is."""
    z, usual = [-110.0, -40.0, 10.0, 80.0, 160.0], [30.0, 24.0, 17.0, 10.0, 8.0]
    return (np.interp(height, z, usual) * person.habitus.fat + 2).astype(np.float32)


def _belly(canvas: Canvas, inside: Mask, wall: Mask) -> None:
    """Draw organs, gas and the fat between, and the muscles of the belly's wall."""
    part = canvas.whole
    at = part.x, part.y, part.z
    coarse = canvas.texture(at, inside, (8.0, 7.0, 7.0))
    fine = canvas.texture(at, inside, (3.0, 2.5, 3.0), 0.4)
    part.paint(inside, "mesenteric fat")
    part.paint(inside & (coarse > -0.3), "organ")
    part.paint(inside & (coarse + 0.5 * fine > 0.7), "other organ")
    part.paint(inside & (coarse < -1.5), "gas")
    part.paint(inside & wall, "muscle")


def _psoas(canvas: Canvas, person: LumbarPerson, front: Array) -> None:
    """Draw the psoas muscles beside the bodies, thicker downwards."""
    part = canvas.whole
    top = person.vertebrae[4].z
    down = np.clip((top - part.z) / max(top, 1.0), 0, 1.3)
    radius, place = 5 + 16 * down, 25 + 12 * down
    middle = front - 13 + 14 * np.clip(down - 0.6, 0, 1)
    near = ellipse(
        ((np.abs(part.x) - place) / radius, 1.0), ((part.y - middle) / (radius * 1.25), 1.0)
    )
    part.paint((near < 1) & (part.z < top + 8) & (part.z > -70), "muscle")


def _streaks(canvas: Canvas, person: LumbarPerson, rear: Array, fascia: Array) -> None:
    """Draw fat in the back muscles, more downwards and near the spine, and between processes."""
    part = canvas.whole
    share = person.habitus.muscle_fat * np.clip(1.25 - part.z / 140.0, 0.25, 1.3)
    deep = np.clip((part.y - fascia) / np.maximum(rear - fascia, 1), 0, 1)
    at, muscle = (part.x, part.y, part.z), (NUMBER["muscle"],)
    behind = (part.y < rear) & (part.tissues == muscle[0])
    fibres = canvas.texture(at, behind, (4.0, 2.2, 11.0), 0.25)
    septa = canvas.texture(at, behind, (7.0, 5.0, 30.0), 0.2)
    fat = 0.75 * fibres + 0.6 * septa + 0.5 * (deep - 0.5) > 1.55 - 3.0 * share
    part.paint(fat & behind, "intramuscular fat", over=muscle)
    between = (np.abs(part.x) < 3.5) & behind
    loose = canvas.texture(at, between, (4.0, 3.0, 2.0), -0.3)
    part.paint(between & (loose > -0.1), "intramuscular fat")
    part.paint(between & (loose < -0.9), "ligament")


def _vessels(canvas: Canvas, person: LumbarPerson, front: Array) -> None:
    """Draw aorta, cava, their branches to the legs, and the segmental vessels."""
    part, around = canvas.whole, person.habitus
    split = person.vertebrae[1].z
    for (place, before, radius), blood in (
        (around.aorta, "flowing blood"),
        (around.cava, "slow blood"),
    ):
        below = np.clip((split - part.z) / 90.0, 0, 1)
        for way in (-1.0, 1.0):
            x = place * (1 - below) + way * 42 * below
            y = front + before + radius * 0.6 - 16 * below
            size = radius * np.where(part.z < split, 0.62, 1.0)
            pipe = ellipse(((part.x - x) / size, 1.0), ((part.y - y) / size, 1.0)) < 1
            part.paint(pipe & (part.z > -60), blood)
    tip = person.vertebrae[4].end(-1)[1]
    start, before, radius = around.aorta
    branch = front + before + radius + 4 + (tip + 10 - part.z) * 0.55
    artery = ellipse((part.x - (start + 6), 4.0), (part.y - branch, 3.6)) < 1
    part.paint(artery & (part.z < tip + 12) & (part.z > tip - 45), "flowing blood")
    for v in person.vertebrae:
        own = canvas.near(v.y, v.z, v.depth / 2 + 12)
        u, up = own.frame(v.y, v.z, v.tilt)
        aside = np.abs(own.x - np.float32(v.x)) / (v.width / 2)
        reach = v.depth / 2 * np.clip(1 - aside**2.5, 0, None) ** 0.4 + 2.0
        wall = (np.abs(u - reach) < 1.6) & (np.abs(up) < 2.0) & (aside < 1.1) & (aside > 0.25)
        own.paint(wall, "flowing blood")
