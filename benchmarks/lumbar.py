"""The lumbar network on synthetic subjects, and on necks, which it has to refuse.

python benchmarks/lumbar.py out [--weights lumbar] [--first 121000] [--people 10] [--necks 3]

Every subject is scanned by a protocol of its own (`spinalprep.phantom.lumbar_scans`); the network
sees T2w and T1w, and T2w alone. ``iou.tsv`` is the table of intersections over unions, counted over
all voxels of all subjects as in the publication, ``discs.tsv`` says how far discs are from where
they are and whether they are called by their name, ``refused.tsv`` what became of necks.
"""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.image import Image
from spinalprep.lumbar.spine import clean_spine, find_discs, name_discs, why_not_lumbar
from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.networks.lumbar import map_structures
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.phantom.lumbar import LumbarPerson, make_lumbar
from spinalprep.phantom.lumbar_scans import draw_protocol, scan
from spinalprep.training.evaluation.structures import count_pairs, overlap_percent

FOUND_MM = 10.0  # a disc counts as found within


def main() -> None:
    """Run over subjects and write the tables."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="lumbar")
    parser.add_argument("--first", type=int, default=121_000)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--necks", type=int, default=3)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = load_model(given.weights)
    counts: dict[str, np.ndarray] = {}
    rows = []
    for seed in range(given.first, given.first + given.people):
        person = make_lumbar(seed)
        scanned = scan(person, draw_protocol(seed))
        for seen, t1w in (("T2w and T1w", scanned.t1w), ("T2w", None)):
            began = time.monotonic()
            found = segment(scanned.t2w, t1w, model)
            spent = time.monotonic() - began
            both = count_pairs(scanned.structures.data, found.data, len(STRUCTURES))
            counts[seen] = counts.get(seen, np.zeros_like(both)) + both
            rows.append({"seed": seed, "seen": seen, "seconds": spent, **_discs(person, found)})
        _write_iou(counts, given.out / "iou.tsv")
        pd.DataFrame(rows).to_csv(given.out / "discs.tsv", sep="\t", index=False)
    necks = [_neck(given.first + n, model) for n in range(given.necks)]
    pd.DataFrame(necks).to_csv(given.out / "refused.tsv", sep="\t", index=False)
    for name in ("iou", "discs", "refused"):
        sys.stdout.write((given.out / f"{name}.tsv").read_text() + "\n")


def segment(t2w: Image, t1w: Image | None, model: Model) -> Image:
    """Return the structures as the App has them."""
    soft = map_structures(t2w, t1w, model)
    return clean_spine(t2w.with_data(soft.argmax(axis=0).astype(np.uint8)))


def _write_iou(counts: dict[str, np.ndarray], path: Path) -> None:
    table = pd.DataFrame(index=[*STRUCTURES, "without background", "with background"])
    for seen, both in counts.items():
        each = overlap_percent(both)
        table[seen] = [*each, each[1:].mean(), each.mean()]
    table.round(1).to_csv(path, sep="\t", index_label="structure")


def _discs(person: LumbarPerson, found: Image) -> dict[str, object]:
    """Say how many discs in view were found, how many others, and how many had the right name."""
    discs = find_discs(found)
    named = name_discs(found, discs)
    centres = np.array([disc.centre for disc in named]).reshape(-1, 3)
    inside = {name: np.array(at) for name, at in person.discs().items() if _in_view(at, found)}
    near = {
        name: float(np.linalg.norm(centres - at, axis=1).min()) if len(centres) else np.inf
        for name, at in inside.items()
    }
    hit = {name for name, apart in near.items() if apart < FOUND_MM}
    right = wrong = 0
    for disc in named:
        if disc.name is not None:
            nearest = min(
                person.discs().items(), key=lambda kv: np.linalg.norm(disc.centre - kv[1])
            )
            right, wrong = right + (nearest[0] == disc.name), wrong + (nearest[0] != disc.name)
    return {
        "transitional": person.transitional,
        "in_view": len(inside),
        "found": len(hit),
        "false": len(discs) - len(hit),
        "distance_mm": float(np.mean([near[name] for name in hit])) if hit else np.nan,
        "named_right": right,
        "named_wrong": wrong,
        "refused": why_not_lumbar(found, discs),
    }


def _in_view(at: tuple[float, float, float], image: Image) -> bool:
    ijk = np.linalg.solve(image.affine[:3, :3], np.array(at) - image.affine[:3, 3])
    inside = (ijk > 8) & (ijk < np.array(image.shape) - 8)
    return bool(inside[1:].all())  # slices reach beside the spine


def _neck(seed: int, model: Model) -> dict[str, object]:
    """Return what is said of the neck of a synthetic subject."""
    person = make_person(seed)
    affine = np.diag([3.0, 1.0, 1.0, 1.0])
    middle = person.centerline.points.mean(axis=0)
    affine[:3, 3] = middle - np.array([22.5, 60.0, 80.0])
    image = render(person, "T2w", ((16, 120, 160), affine), seed)
    found = segment(image, None, model)
    return {"seed": seed, "said": why_not_lumbar(found, find_discs(found)) or "taken for lumbar"}


if __name__ == "__main__":
    main()
