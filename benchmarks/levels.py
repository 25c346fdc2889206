"""How often vertebral levels are found, and whether they are ever wrong and sure.

    python benchmarks/levels.py phantoms [--people 50] [--first 100000] [--weights discs]
    python benchmarks/levels.py template --shared ../shared [--people 60]
    python benchmarks/levels.py people --shared ../shared --derivatives OUT

``phantoms``: synthetic subjects for tests, every one cropped at random. ``template``: PAM50's T2w
bent, turned, stretched and recoloured as training never draws it. ``people``: the real images,
along the centerlines of a run of spinalprep.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.image import Image, grid_points, load, reorient, sample, to_world
from spinalprep.levels.detect import find_discs, weigh_signs
from spinalprep.levels.discs import level_name
from spinalprep.levels.number import is_sure, near_landmarks, trusted_discs
from spinalprep.levels.sequence import Evidence, Sequence, join_discs
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, make_person
from spinalprep.phantom.images import INTENSITY, render

RIGHT_MM = 5.0  # a disc within this of the truth is that disc
ABOVE_MM = 20.0  # of the body of C2 above C2/C3, from which on it "shows C2/C3"
GRIDS = ((1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (2.5, 0.7, 0.7), (3.3, 0.9, 0.9), (0.7, 0.7, 2.5))


def main() -> None:
    """Print one row per image and the shares."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("phantoms", "template", "people"))
    parser.add_argument("--weights", default="discs")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--first", type=int, help="seed; those for tests if not given")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--derivatives", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    model = load_model(given.weights)
    if given.what == "phantoms":
        first = FIRST_TEST_SEED if given.first is None else given.first
        rows = [judge_phantom(first + n, model) for n in range(given.people)]
    elif given.what == "template":
        seeds = range(given.first or 0, (given.first or 0) + given.people)
        rows = [judge_template(seed, given.shared / "data", model) for seed in seeds]
    else:
        rows = list(judge_people(given.shared / "data" / "bids-dev", given.derivatives, model))
    table = pd.DataFrame(rows)
    sys.stdout.write(table.to_string(index=False, float_format="%.3f") + "\n")
    if given.out is not None:
        table.to_csv(given.out, sep="\t", index=False)
    if given.what != "people":
        summarise(table)


def summarise(table: pd.DataFrame) -> None:
    """Write shares."""
    shown, rest = table[table["shows_c2c3"]], table[~table["c2c3_inside"]]
    error, worst = table["error_mm"].median(), table["worst_mm"].quantile(0.95)
    lines = [
        f"wrong and sure: {int(table['wrong'].sum())} of {len(table)}",
        f"sure: {int(shown['sure'].sum())} of {len(shown)} that show C2/C3",
        f"sure: {int(rest['sure'].sum())} of {len(rest)} without the disc C2/C3",
        f"with a hint: sure {int(table['hint_sure'].sum())} of {int(table['hinted'].sum())}, "
        f"wrong {int(table['hint_wrong'].sum())}",
        f"error of discs: median {error:.2f} mm, 95 % of the worst {worst:.2f} mm",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def evidence_of(image: Image, line: Centerline, model: Model) -> Evidence:
    """Return what the detector sees."""
    plane, signs = find_discs(image, line, model)
    return weigh_signs(plane, signs, model.card["scale"])


def judge(
    found: Sequence,
    line: Centerline,
    truth: dict[int, NDArray[np.float64]],
    landmarks: tuple[float, ...] = (3.0,),
) -> dict[str, float | bool]:
    """Compare the discs whose numbers are trusted with where they are."""
    trusted = trusted_discs(found, landmarks)
    apart = {
        n: abs(found.disc_s[n] - float(line.project(truth[n][None])[0, 0]))
        for n in trusted
        if n in truth
    }
    unknown = [n for n in trusted if n not in truth]
    sure = bool(trusted)
    wrong = bool(unknown) or any(d > RIGHT_MM for d in apart.values())
    errors = list(apart.values()) if sure and not wrong else []
    return {
        "sure": sure,
        "wrong": sure and wrong,
        "probability": found.confidence,
        "seen": len(found.seen),
        "trusted": len(trusted),
        "error_mm": float(np.median(errors)) if errors else np.nan,
        "worst_mm": max(errors, default=np.nan),
    }


def judge_image(
    image: Image, line: Centerline, truth: dict[int, NDArray[np.float64]], model: Model, seed: int
) -> dict[str, object]:
    """Judge one image without and with a hint."""
    evidence = evidence_of(image, line, model)
    row: dict[str, object] = dict(judge(join_discs(evidence), line, truth))
    places = {n: float(line.project(p[None])[0, 0]) for n, p in truth.items()}
    low, high = evidence.s[[0, -1]] if len(evidence.s) else (0.0, 0.0)
    inside = [n for n, s in places.items() if low + 2 < s < high - 2]
    row["discs"] = len([n for n in inside if n > 2])
    row["c2c3_inside"] = 3 in inside
    row["shows_c2c3"] = 3 in inside and places[3] - low >= ABOVE_MM
    pairs = [n for n in inside if n + 1 in inside and n > 2]
    row["hinted"], row["hint_sure"], row["hint_wrong"] = bool(pairs), False, False
    if pairs:
        chance = np.random.default_rng([seed, 7])
        level = int(chance.choice(pairs)) + 0.5
        s = (places[int(level)] + places[int(level) + 1]) / 2 + chance.normal(0, 2.5)
        plain = {n: s + (n - level) * 17.0 for n in range(2, 12)}
        found = join_discs(evidence, near_landmarks({level: s}, plain))
        hinted = judge(found, line, truth, (level,))
        row["hint_sure"], row["hint_wrong"] = hinted["sure"], hinted["wrong"]
    return row


def judge_phantom(seed: int, model: Model) -> dict[str, object]:
    """Render a synthetic subject in a random field of view, and judge."""
    chance = np.random.default_rng([seed, 3])
    person = make_person(seed)
    contrast = sorted(INTENSITY)[int(chance.integers(4))]
    spacing = np.array(GRIDS[int(chance.integers(len(GRIDS)))])
    z = person.centerline.points[:, 2]
    length = chance.uniform(45.0, 185.0)
    top = chance.uniform(min(z.min() + length, z.max() - 0.1), z.max())
    part = person.centerline.points[(z <= top) & (z >= top - length)]
    box = np.array([26.0, 90.0, length])
    shape = np.maximum(np.round(box / spacing).astype(int), 4)
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    middle = (part.min(axis=0) + part.max(axis=0)) / 2
    affine[:3, 3] = (
        middle + [box[0] / 2, -box[1] / 2 + 4.0, -box[2] / 2] + spacing * [-0.5, 0.5, 0.5]
    )
    image = render(person, contrast, (tuple(shape), affine), seed, noise=chance.uniform(0.01, 0.06))
    wobble = ndimage.gaussian_filter1d(chance.standard_normal((len(part), 3)), 12, axis=0) * 2.5
    line = fit_centerline((part + wobble * [1, 1, 0])[::4])
    truth = {n: person.centerline.at(s) for n, s in person.disc_s.items()}
    row = judge_image(image, line, truth, model, seed)
    return {
        "image": seed,
        "contrast": contrast,
        "mm": f"{spacing[1]:g}x{spacing[2]:g}",
        "field_mm": round(length),
        **row,
    }


@dataclass(frozen=True)
class Bend:
    """From PAM50's straight frame to a body: stretched, bent on a circle, turned and leaning."""

    origin: NDArray[np.float64]
    stretch: float
    radius: float
    spin: NDArray[np.float64]

    def to_template(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points of the body lie in PAM50_small, RAS+ mm."""
        x, y, z = np.moveaxis(points @ self.spin, -1, 0)
        out = y + self.radius
        depth = np.sign(self.radius) * np.hypot(z, out) - self.radius
        along = self.radius * np.arctan2(z * np.sign(self.radius), np.abs(out))
        return np.stack([x, depth, along / self.stretch], axis=-1) + self.origin

    def to_body(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points of PAM50_small lie in the body."""
        x, y, z = np.moveaxis(points - self.origin, -1, 0)
        angle, out = z * self.stretch / self.radius, self.radius + y
        bent = np.stack([x, out * np.cos(angle) - self.radius, out * np.sin(angle)], axis=-1)
        return np.asarray(bent @ self.spin.T)


def judge_template(seed: int, data: Path, model: Model) -> dict[str, object]:
    """Bend, turn, stretch and recolour PAM50's T2w, crop it, and judge."""
    chance = np.random.default_rng([seed, 5])
    source = reorient(load(data / "PAM50_small" / "PAM50_small_t2.nii.gz"))
    labels = reorient(load(data / "PAM50_small" / "PAM50_small_label_disc.nii.gz"))
    discs = {
        int(labels.data[tuple(k)]): to_world(k.astype(float), source.affine)
        for k in np.argwhere(labels.data > 0)
    }
    bend, length = draw_bend(discs, chance)
    shape = (34, 100, round(length))
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [16.5, -48.0, -length / 2]
    points = grid_points(shape, affine)
    values = sample(source, bend.to_template(points)) / np.percentile(source.data, 99.5)
    image = Image(recolour(values, points, chance), affine)
    z = np.arange(discs[2][2] + 22, 0.0, -2.0)  # the cord's network ends below the brainstem
    line = bend.to_body(np.stack([0 * z + discs[3][0], 0 * z + discs[3][1], z], axis=-1))
    line = line[(np.abs(line[:, 2]) < length / 2 - 1) & (np.abs(line[:, 1] - 2) < 45)]
    truth = {n: bend.to_body(point) for n, point in discs.items()}
    row = judge_image(image, fit_centerline(line), truth, model, seed)
    numbers = {"stretch": bend.stretch, "radius": bend.radius, "field_mm": round(length)}
    return {"image": seed, **numbers, **row}


def draw_bend(
    discs: dict[int, NDArray[np.float64]], chance: np.random.Generator
) -> tuple[Bend, float]:
    """Return a bend around one of the discs, and the length of the field of view."""
    length = chance.uniform(50.0, 200.0)
    origin = discs[3].copy()
    origin[2] = discs[int(chance.integers(3, 12))][2] + chance.uniform(-10, 10)
    radius = chance.uniform(max(90.0, 0.9 * length), 260.0) * chance.choice([-1, 1])
    angles = [chance.uniform(-12, 12), chance.uniform(-20, 20)]
    spin = Rotation.from_euler("zx", angles, degrees=True).as_matrix()
    return Bend(origin, chance.uniform(0.8, 1.22), radius, spin), length


def recolour(
    values: NDArray[np.float32], points: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float32]:
    """Change intensities by a curve that goes up and down, and add spikes and noise."""
    knots = np.linspace(0, 1, 6)
    curve = 0.7 * chance.permutation(knots) + 0.3 * knots
    coloured = np.interp(np.clip(values, 0, 1), knots, curve)
    mixed = np.where(values > 0, chance.uniform(0.35, 0.9) * coloured + 0.4 * values, 0)
    wave = 1 + 0.12 * np.sin(points[..., 2] / chance.uniform(3, 9) + points[..., 1] / 7)
    noise = 0.03 * chance.standard_normal(values.shape)
    return np.asarray(mixed * wave + noise, np.float32)


def judge_people(raw: Path, derivatives: Path, model: Model) -> Iterator[dict[str, object]]:
    """Say what is found in every real image along the centerline of a run."""
    for path in sorted(derivatives.glob("sub-*/**/anat/*label-centerline_morph.tsv")):
        stem = path.name.split("_label-")[0].split("_space-")[0]
        line = Centerline.from_table(pd.read_csv(path, sep="\t"))
        for scan in sorted((raw / path.parts[-3] / "anat").glob(f"{stem}*.nii.gz")):
            evidence = evidence_of(reorient(load(scan)), line, model)
            found = join_discs(evidence)
            best = sorted(found.first.items(), key=lambda item: -item[1])[:1]
            yield {
                "image": scan.name.removesuffix(".nii.gz"),
                "length_mm": round(line.length),
                "sure": is_sure(found),
                "landmark": found.landmark,
                "probability": found.confidence,
                "seen_mm": " ".join(f"{found.disc_s[n]:.0f}" for n in found.seen),
                "first": " ".join(f"{level_name(n - 1)}/{level_name(n)} {p:.2f}" for n, p in best),
                "c2c3_max": float(evidence.c2c3.max()) if len(evidence.s) else np.nan,
            }


if __name__ == "__main__":
    main()
