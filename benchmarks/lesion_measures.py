"""How true the measures of lesions are: synthetic subjects against their geometry.

    python benchmarks/lesion_measures.py

Six test people with three lesions each, in voxels of 0.5 mm, 1 mm and 0.5 x 0.5 x 4 mm. Truth is
sampled in straight space, every 0.05 mm across. Prints mean error and largest absolute error.
"""

import sys

import numpy as np
import pandas as pd

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image
from spinalprep.lesion.instances import lesion_instances
from spinalprep.lesion.measures import measure_lesions
from spinalprep.phantom.anatomy import GM, LESION, WM, Lesion, Person, make_person

VOXELS = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0.5, 0.5, 4.0))
SEEDS, LESIONS = range(100_000, 100_006), 3
BOX_MM, FINE_MM, SECTIONS = (60.0, 60.0, 150.0), 0.05, 161


def truth(person: Person, lesion: Lesion) -> dict[str, float]:
    """Return what a lesion measures, by sampling its sections in the cord's frame."""
    turn = np.deg2rad(person.turn_deg)
    s, x, y = lesion.centre
    length, wide, deep = lesion.half_axes
    at = np.linspace(s - length, s + length, SECTIONS)
    rows = pd.DataFrame([section(person, lesion, here) for here in at]).dropna(subset="area")
    step, least = float(at[1] - at[0]), rows.min()
    total, hit = least["front"] + least["back"], int(rows["width"].count())
    rl, ap = person.radii_at(s)
    return {
        "volume_mm3": float(rows["area"].sum()) * step,
        "length_mm": 2 * length,
        "width_ap_mm": 2 * deep,
        "width_rl_mm": 2 * wide,
        "max_equivalent_diameter_mm": 2 * np.sqrt(rows["area"].max() / np.pi),
        "max_axial_damage_ratio": rows["ratio"].max(),
        "midsagittal_length_mm": hit * step if hit else np.nan,
        "midsagittal_width_mm": rows["width"].max(),
        "midsagittal_spared_percent": 100 * least["spared"],
        "bridge_ventral_mm": least["front"],
        "bridge_dorsal_mm": least["back"],
        "bridge_total_mm": total,
        "bridge_ventral_percent": 100 * least["front"] / total,
        "bridge_left_mm": least["left"],
        "bridge_right_mm": least["right"],
        "position_rl": (x * np.cos(turn) + y * np.sin(turn)) / rl,
        "position_ap": (y * np.cos(turn) - x * np.sin(turn)) / ap,
    }


def section(person: Person, lesion: Lesion, here: float) -> dict[str, float]:
    """Return areas and widths in one section; NaN where it misses the lesion."""
    turn = np.deg2rad(person.turn_deg)
    s, x, y = lesion.centre
    length, wide, deep = lesion.half_axes
    grid = np.arange(-9, 9 + FINE_MM / 2, FINE_MM)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    a, b = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
    rl, ap = person.radii_at(here)
    cord = (u / rl) ** 2 + (v / ap) ** 2 <= 1
    reach = ((here - s) / length) ** 2 + ((a - x) / wide) ** 2 + ((b - y) / deep) ** 2
    mask = cord & (reach <= 1)
    if not mask.any():
        return {"area": np.nan}
    row, middle = round((mask.sum(axis=0) @ np.arange(len(grid))) / mask.sum()), len(grid) // 2
    left, right, _ = spared(cord[:, row], mask[:, row], grid)
    back, front, width = spared(cord[middle], mask[middle], grid)
    return {
        "area": mask.sum() * FINE_MM**2,
        "ratio": mask.sum() / cord.sum(),
        "left": left,
        "right": right,
        "back": back,
        "front": front,
        "width": width,
        "spared": (front + back) / (np.ptp(grid[cord[middle]]) + FINE_MM),
    }


def spared(cord: np.ndarray, lesion: np.ndarray, grid: np.ndarray) -> tuple[float, float, float]:
    """Return cord below and above a lesion on a line, and the lesion's width."""
    if not lesion.any():
        return np.nan, np.nan, np.nan
    whole, part = grid[cord], grid[lesion]
    return part[0] - whole[0], whole[-1] - part[-1], part[-1] - part[0] + FINE_MM


def errors(seed: int, voxel: tuple[float, float, float]) -> list[dict[str, float]]:
    """Return what the measures of one person's lesions are off by."""
    person = make_person(seed, lesions=LESIONS)
    shape = np.rint(np.array(BOX_MM) / voxel).astype(int)
    affine = np.diag([-voxel[0], voxel[1], voxel[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2)
    shares = person.labels_on(shape.tolist(), affine, fine=3)
    cord = Image((shares[[WM, GM, LESION]].sum(axis=0) >= 0.5).astype(np.uint8), affine)
    soft = cord.with_data((shares[LESION] >= 0.5).astype(np.float32))
    labels = cord.with_data(lesion_instances(soft, cord))
    table = measure_lesions(labels, cord, centerline_from_mask(cord))
    found = []
    for row in table.to_dict("records"):
        at = person.centerline.project(np.array([row[f"{axis}_mm"] for axis in "xyz"]))[0]
        own = min(person.lesions, key=lambda lesion: abs(lesion.centre[0] - at))
        found.append({k: float(row[k]) - v for k, v in truth(person, own).items()})
    return found


def main() -> None:
    """Print the table."""
    columns = {}
    for voxel in VOXELS:
        each = pd.DataFrame([row for seed in SEEDS for row in errors(seed, voxel)])
        name = " x ".join(f"{size:g}" for size in voxel)
        columns[f"{name}: mean"] = each.mean()
        columns[f"{name}: largest"] = each.abs().max()
        columns[f"{name}: n"] = each.notna().sum()
    sys.stdout.write(pd.DataFrame(columns).round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
