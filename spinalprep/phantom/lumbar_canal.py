"""The canal of a lumbar subject: fat, sac, cord and cauda equina, and the roots that leave it."""

import numpy as np

from spinalprep.phantom.lumbar import LumbarPerson, Vertebra, profile
from spinalprep.phantom.lumbar_canvas import MARGIN_MM, Array, Canvas, Part, ellipse
from spinalprep.phantom.lumbar_tissues import NUMBER

SOFT = tuple(
    NUMBER[name]
    for name in (
        *("muscle", "intramuscular fat", "retroperitoneal fat", "ligament", "epidural fat"),
        *("csf", "cord", "cauda equina", "subcutaneous fat"),
    )
)
ARCHES = tuple(NUMBER[name] for name in ("cortex", "marrow", "sacral cortex", "sacral marrow"))


def draw_canal(canvas: Canvas, person: LumbarPerson) -> None:
    """Draw the canal over bones and discs."""
    for v in person.vertebrae:
        _foramen(canvas.near(v.y, v.z, 48.0), v)
    z, y, tilt = profile(person, person.habitus.canal / 2 + 0.6)
    part = canvas.between(float(y.max()) + 16, float(y.min()) - 20)
    middle = np.interp(part.z, z, y).astype(np.float32)
    lean = np.cos(np.interp(part.z, z, tilt)).astype(np.float32)
    u = (part.y - middle) * lean
    w = part.x - _sideways(person, part)
    sacral = np.clip(-part.z / 80.0, 0, 1)  # 0 at the sacrum's upper end, 1 where its canal ends
    half = person.habitus.canal / 2 * (1 - 0.6 * sacral)
    pads = _at_discs(person, part)
    inside = (part.z > -85) & (part.z < z[-1])
    bony = ellipse((np.where(u < 0, u / (1 + 0.35 * pads), u) / half, 1.0), (w, 12.0)) < 1
    part.paint(bony & inside, "epidural fat", over=(*SOFT, *ARCHES))
    ligament = (np.abs(u + half * (1 + 0.35 * pads) + 0.5) < 1.6) & (np.abs(w) < 11) & (pads > 0.4)
    part.paint(ligament & inside & (np.abs(w) > 2), "ligament", over=SOFT)
    _sac(canvas, part, person, (w, u), sacral)
    _lateral_roots(canvas, part, person, (w, u))


def _sac(
    canvas: Canvas, part: Part, person: LumbarPerson, across: tuple[Array, Array], sacral: Array
) -> None:
    """Draw the dural sac, the cord with its conus, and the cauda equina."""
    around, (w, u) = person.habitus, across
    narrow = np.ones_like(part.z)
    for n, factor in person.narrow.items():
        _, z = person.vertebrae[n].end(-1)
        narrow -= (1 - np.float32(factor)) * np.exp(-(((part.z - z + 4) / 6.5) ** 2))
    taper = np.clip(1.0 - 0.95 * np.clip(sacral * 1.5 - 0.05, 0, 1), 0, 1)
    half = around.sac / 2 * narrow * taper
    # At L5/S1 the sac leaves the disc, and fat comes between.
    back = (around.canal - around.sac) / 2 * (0.5 - np.exp(-(((part.z - 4) / 22) ** 2)))
    own = u - back
    lateral = 9.5 * np.sqrt(narrow) * taper + 0.1
    sac = ellipse((own / np.maximum(half, 0.1), 1.0), (w / lateral, 1.0)) < 1
    sac &= (part.z < person.vertebrae[-1].end(1)[1]) & (half > 1.0)
    soft = (*SOFT, *ARCHES)
    part.paint(sac, "csf", over=soft)
    below = np.clip((around.conus - part.z) / 90.0, 0, 1)
    strands = canvas.texture((w, own, part.z), sac, (1.5, 1.2, 14.0))
    crowd = np.clip(0.5 - own / np.maximum(half, 0.1), 0, 1.5)  # they lie at the back
    cauda = strands * 0.7 + 1.5 * crowd * (1 - 0.55 * below) - 0.9 > 0
    part.paint(sac & cauda & (part.z < around.conus + 12), "cauda equina", over=soft)
    grown = np.clip((part.z - around.conus) / 28.0, 0, 1) ** 0.6
    cord = ellipse((own + 0.6, 3.9), (w, 4.8)) < grown**2
    part.paint(cord & sac, "cord", over=soft)


def _foramen(part: Part, v: Vertebra) -> None:
    """Draw the foramina below a vertebra's pedicles with fat and root, and the root beyond."""
    u, up = part.frame(v.y, v.z, v.tilt)
    w = np.abs(part.x - np.float32(v.x))
    p, bottom = -v.depth / 2, -v.height / 2
    inner, outer = v.pedicle - 1, v.pedicle + 10.0
    middle = bottom - v.disc.height * 0.2
    hole = ellipse((u - (p - 5.0), 5.5), (up - middle, 0.36 * v.height)) < 1
    part.paint(hole & (w > inner) & (w < outer), "epidural fat", over=SOFT)
    root = -0.30 * v.height + 4.0 - 0.55 * (w - inner), p - 5 + 0.4 * (w - inner)
    thick = 3.1 - 0.9 * np.abs(w - inner - 6) / 10
    there = (w > inner) & (w < outer + 14)
    where = ellipse((u - root[1], 1.0), (up - root[0], 1.25)) < np.maximum(thick, 1.4) ** 2
    part.paint(where & there, "root", over=SOFT)
    vessel = ellipse((u - root[1] - 3.6, 1.3), (up - root[0] + 3.0, 1.3)) < 1
    part.paint(vessel & (w > inner + 2) & (w < outer), "flowing blood", over=SOFT)


def _lateral_roots(
    canvas: Canvas, part: Part, person: LumbarPerson, across: tuple[Array, Array]
) -> None:
    """Draw the roots that have left the sac and go down beside it to their foramen."""
    (w, u), fat = across, (NUMBER["epidural fat"],)
    for v in person.vertebrae[:6]:
        top, bottom = v.z + 0.2 * v.height, v.end(-1)[1] - 1
        near = slice(
            *np.searchsorted(canvas.columns, [bottom - MARGIN_MM, top + MARGIN_MM]).tolist()
        )
        own = Part(part.tissues[..., near], part.x, part.y[..., near], part.z[..., near])
        down = np.clip((top - own.z) / (top - bottom), 0, 1)
        place = 8.0 + (v.pedicle - 7.0) * down
        there = (own.z < top) & (own.z > bottom)
        aside = np.abs(w[..., near]) - place
        root = ellipse((u[..., near] - 1.0, 2.0), (aside, 1.9)) < 1
        own.paint(root & there, "root", fat)
    sacral = (part.z < -8) & (part.z > -60)
    beside = np.abs(w) - (6.0 + np.clip(-part.z / 12, 0, 4))
    part.paint((ellipse((u, 2.0), (beside, 2.0)) < 1) & sacral, "root", fat)


def _at_discs(person: LumbarPerson, part: Part) -> Array:
    """Return 1 at the height of a disc's back, 0 between: where fat fills the arches' gaps."""
    at = np.arange(-120.0, person.vertebrae[-1].z + 20)
    backs = np.array([v.end(-1)[1] for v in person.vertebrae])
    near = np.exp(-(((at[:, None] - backs + 2) / 7.0) ** 2)).max(axis=1)
    return np.asarray(np.interp(part.z, at, near), np.float32)


def _sideways(person: LumbarPerson, part: Part) -> Array:
    """Return where the middle plane of the spine is, by height."""
    at = [(0.0, 0.0), *((v.z, v.x) for v in person.vertebrae)]
    z, x = np.array(at).T
    return np.asarray(np.interp(part.z, z, x), np.float32)
