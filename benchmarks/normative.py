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

from spinalprep.group.curves import Profiles, compare_curves, gather_profiles, mean_curve
from spinalprep.group.design import Comparison, plan_comparisons
from spinalprep.group.permutation import Plan, Result
from spinalprep.levels.discs import level_name
from spinalprep.reports.group_figures import COHORT_COLOURS

PLAN = Plan(permutations=2000, seed=0, min_n=10)
MEASURES = {
    "area_mm2": "cord area (mm2)",
    "diameter_ap_mm": "front-to-back diameter (mm)",
    "diameter_rl_mm": "right-to-left diameter (mm)",
}


def read(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return slices and people of a data set, a person once: the first session by name."""
    people = pd.read_csv(folder / f"{name}_participants.tsv", sep="\t", na_values=["n/a", "-"])
    slices = pd.read_csv(folder / f"{name}_morph.tsv.gz", sep="\t")
    if "session_id" in people:
        people = people.sort_values(["participant_id", "session_id"])
        people = people.drop_duplicates("participant_id")
        slices = slices.merge(people[["participant_id", "session_id"]])
    people = people.assign(person_id=people["participant_id"]).reset_index(drop=True)
    slices = slices.rename(columns={"participant_id": "person_id", "pam50_slice": "template_slice"})
    numbers = slices["vertebral_level"].astype(int)
    return slices.assign(vertebral_level=numbers.map(level_name)), people


def say(profiles: Profiles, comparison: Comparison, found: Result, measure: str) -> str:
    """Return one line on a comparison, and one per level."""
    called = found.p <= 0.05
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


def draw(profiles: Profiles, groups: dict[str, np.ndarray], tested: Result, path: Path) -> None:
    """Draw the groups' means and bands, and where they differ."""
    figure = Figure(figsize=(10, 4.2))
    axis = figure.subplots()
    for (name, rows), colour in zip(groups.items(), COHORT_COLOURS, strict=False):
        curve = mean_curve(profiles, rows, PLAN.min_n)
        k = curve["template_slice"]
        n = curve.loc[curve["mean"].notna(), "n"]
        axis.plot(k, curve["mean"], color=colour, label=f"{name} (n = {n.min()}-{n.max()})")
        axis.fill_between(k, curve["lower"], curve["upper"], color=colour, alpha=0.25, linewidth=0)
    low = axis.get_ylim()[0]
    called = tested.p <= 0.05
    axis.plot(profiles.slices[called], np.full(called.sum(), low), "|", color="black", markersize=7)
    for level in dict.fromkeys(profiles.levels):
        own = profiles.slices[[name == level for name in profiles.levels]]
        axis.axvline(own.max(), color="grey", linewidth=0.3)
        axis.text(own.mean(), axis.get_ylim()[1], level, ha="center", va="bottom", fontsize=8)
    axis.invert_xaxis()
    axis.set_xlabel(
        "slice of PAM50, head to the left; band: 95 % interval of the mean; "
        "ticks: women and men differ, p <= 0.05 corrected for all slices"
    )
    axis.set_ylabel(MEASURES["area_mm2"])
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


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
            draw(profiles, groups, found, out_dir / "normative.png")
            for name, rows in groups.items():
                curve = mean_curve(profiles, rows, PLAN.min_n)
                own = curve[curve["vertebral_level"].isin(("C2", "C3"))]["mean"]
                sys.stdout.write(f"{name}: mean area over C2 and C3 {own.mean():.2f} mm2\n")
    slices, people = read(folder, "VUIIS-MS")
    profiles = gather_profiles(slices, "area_mm2", people["person_id"].tolist())
    (sick,) = plan_comparisons(people, "pathology", nuisance=["age", "sex"])
    result = compare_curves(profiles, sick, PLAN)
    sys.stdout.write("VUIIS-MS " + say(profiles, sick, result, "area_mm2") + "\n")


if __name__ == "__main__":
    main()
