"""Cord morphometry of healthy people along PAM50: men against women, and by age.

``python benchmarks/normative.py FOLDER OUT_DIR`` reads the per-slice tables of
PAM50-normalized-metrics (Valosek et al. 2024, doi:10.1162/imag_a_00075) and sends them through
the group level's own curves and permutation tests. Nothing of the tables is copied; the figure and
the numbers are.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t as student

from spinalprep.group.curves import Profiles, compare_curves, gather_profiles, mean_curve
from spinalprep.group.design import Comparison, plan_comparisons
from spinalprep.group.permutation import Plan, Result
from spinalprep.levels.discs import level_name
from spinalprep.normative.people import read_people
from spinalprep.reports.group_figures import COHORT_COLOURS

ALPHA = 0.05
PLAN = Plan(permutations=2000, seed=0, min_n=10)
MEASURES = {
    "area_mm2": "cord area (mm2)",
    "diameter_ap_mm": "front-to-back diameter (mm)",
    "diameter_rl_mm": "right-to-left diameter (mm)",
}


def read(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return slices and people of a data set, a person once: the first session by name."""
    slices, people = read_people(folder, name)
    slices = slices.rename(columns={"participant_id": "person_id"})
    numbers = slices["vertebral_level"].astype(int)
    slices = slices.assign(vertebral_level=numbers.map(level_name))
    return slices, people.assign(person_id=people["participant_id"])


def say(profiles: Profiles, comparison: Comparison, found: Result, measure: str) -> str:
    """Return one line on a comparison, and one per level."""
    called = found.p <= ALPHA
    lines = [
        f"{measure}: {comparison.question}, {len(comparison.rows)} people: "
        f"{called.sum()} of {np.isfinite(found.p).sum()} slices with p <= 0.05 (corrected)"
    ]
    for level in dict.fromkeys(profiles.levels):
        own = np.array([name == level for name in profiles.levels]) & np.isfinite(found.p)
        if own.any():
            lines.append(
                f"  {level}: effect {found.effect[own].mean():.2f}, "
                f"lowest p {found.p[own].min():.4f}, "
                f"n {found.n[own].min()}-{found.n[own].max()}"
            )
    return "\n".join(lines)


def draw(
    profiles: Profiles, groups: dict[str, np.ndarray], tested: tuple[Result, Result], path: Path
) -> None:
    """Draw the groups' means and bands with where they differ, the slope over age, and n."""
    found, older = tested
    figure = Figure(figsize=(10, 7))
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(4, 2, 1.2))
    for (name, rows), colour in zip(groups.items(), COHORT_COLOURS, strict=False):
        curve = mean_curve(profiles, rows, PLAN.min_n)
        k = curve["template_slice"]
        axes[0].plot(k, curve["mean"], color=colour, label=name)
        axes[0].fill_between(k, curve["lower"], curve["upper"], color=colour, alpha=0.25, lw=0)
        axes[2].plot(k, curve["n"], color=colour)
    called = found.p <= ALPHA
    low = axes[0].get_ylim()[0]
    axes[0].plot(profiles.slices[called], np.full(called.sum(), low), "|", color="black", ms=7)
    low_slope, high_slope = slope_interval(older)
    axes[1].plot(profiles.slices, older.effect, color="black")
    axes[1].fill_between(profiles.slices, low_slope, high_slope, color="grey", alpha=0.3, lw=0)
    axes[1].axhline(0, color="grey", linewidth=0.6)
    _mark_levels(profiles, np.isfinite(older.effect), axes)
    axes[0].set_ylabel(MEASURES["area_mm2"])
    axes[0].legend(frameon=False)
    axes[1].set_ylabel("slope over age\n(mm2 per year)")
    axes[2].set_ylabel("people")
    axes[2].set_xlabel(
        "slice of PAM50, head to the left; bands: 95 % interval, slice by slice\n"
        "ticks: women and men differ, p <= 0.05 corrected for all slices"
    )
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def _mark_levels(profiles: Profiles, shown: np.ndarray, axes: np.ndarray) -> None:
    """Show the slices that say something, with the names of their levels."""
    levels = np.array(profiles.levels)
    for level in dict.fromkeys(profiles.levels):
        own = profiles.slices[(levels == level) & shown]
        if not len(own):
            continue
        for axis in axes:
            axis.axvline(own.max(), color="grey", linewidth=0.3)
        axes[0].text(own.mean(), axes[0].get_ylim()[1], level, ha="center", va="bottom", size=8)
    axes[0].set_xlim(profiles.slices[shown].max() + 5, profiles.slices[shown].min() - 5)


def slope_interval(found: Result) -> tuple[np.ndarray, np.ndarray]:
    """Return Student's 95 % interval of an effect, from its t: the standard error is effect / t."""
    error = np.abs(found.effect / np.where(found.t == 0, np.nan, found.t))
    half = student.ppf(1 - ALPHA / 2, found.df) * error
    return found.effect - half, found.effect + half


def main() -> None:
    """Print the comparisons and draw the areas."""
    folder, out_dir = (Path(word) for word in sys.argv[1:3])
    slices, people = read(folder, "spine-generic_multi-subject")
    for measure in MEASURES:
        profiles = gather_profiles(slices, measure, people["person_id"].tolist())
        (sexes,) = plan_comparisons(people, "sex", nuisance=["age"])
        found = compare_curves(profiles, sexes, PLAN)
        (ages,) = plan_comparisons(people, covariate="age", nuisance=["sex"])
        older = compare_curves(profiles, ages, PLAN)
        for comparison, result in ((sexes, found), (ages, older)):
            sys.stdout.write(say(profiles, comparison, result, measure) + "\n")
        if measure == "area_mm2":
            groups = {
                {"F": "women", "M": "men"}[sex]: np.flatnonzero((people["sex"] == sex).to_numpy())
                for sex in ("F", "M")
            }
            draw(profiles, groups, (found, older), out_dir / "normative.png")
            for name, rows in groups.items():
                curve = mean_curve(profiles, rows, PLAN.min_n)
                own = curve[curve["vertebral_level"].isin(("C2", "C3"))]["mean"]
                sys.stdout.write(f"{name}: mean area over C2 and C3 {own.mean():.2f} mm2\n")
            (makers,) = plan_comparisons(people, "sex", nuisance=["age", "manufacturer"])
            result = compare_curves(profiles, makers, PLAN)
            sys.stdout.write(
                "scanner's maker too: " + say(profiles, makers, result, measure) + "\n"
            )
    slices, people = read(folder, "VUIIS-MS")
    profiles = gather_profiles(slices, "area_mm2", people["person_id"].tolist())
    (sick,) = plan_comparisons(people, "pathology", nuisance=["age", "sex"])
    result = compare_curves(profiles, sick, PLAN)
    sys.stdout.write("VUIIS-MS " + say(profiles, sick, result, "area_mm2") + "\n")


if __name__ == "__main__":
    main()
