"""What the z-scores are worth: sites that the table has not seen, and other sets of people.

``python benchmarks/normative_scores.py FOLDER OUT_DIR`` leaves out one site of the spine-generic
people after the other, makes the table from the rest, and holds the people of that site against
it; then holds the healthy people of whole-spine and VUIIS-MS against the table that ships. Every
tenth slice of PAM50 serves. About five minutes on one core.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spinalprep.levels.discs import level_name
from spinalprep.normative.build import SOURCE, build_table
from spinalprep.normative.people import read_people
from spinalprep.normative.table import (
    MEASURES,
    Z_COLUMNS,
    Norms,
    Subject,
    load_norms,
    normalise_compression,
    score_levels,
    score_slices,
)

OUTSIDE = 1.96
SHOWN = range(1, 11)  # C1 to T3
STEP = 10  # every so many slices of PAM50
SLICE_MM = 0.5


def score_people(
    slices: pd.DataFrame, people: pd.DataFrame, norms: Norms
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return z per person and level, and per person and slice."""
    places = norms.along("area_mm2").sort_index(ascending=False)
    rank = places.groupby("vertebral_level").cumcount() + 0.5
    level_at = places["vertebral_level"] + rank / places.groupby("vertebral_level")["n"].transform(
        "size"
    )
    own = dict(iter(slices.groupby("participant_id")))
    by_level, by_slice = [], []
    for _, person in people.iterrows():
        subject = Subject(person["age"], person["sex"])
        table = own[person["participant_id"]]
        level = level_at.reindex(table["template_slice"]).to_numpy()
        table = table.assign(level_at=level, doubtful=False)
        levels = pd.DataFrame({"vertebral_level": list(SHOWN)})
        facts = {"participant_id": person["participant_id"], "site": person["site"]}
        by_level.append(score_levels(levels, table, norms, subject).assign(**facts))
        by_slice.append(score_slices(table, norms, subject).assign(**facts))
    return pd.concat(by_level), pd.concat(by_slice)


def leave_sites_out(
    slices: pd.DataFrame, people: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return z of all people against tables that never saw their site."""
    parts = []
    for site, own in people.groupby("site"):
        others = people[people["site"] != site]
        norms = Norms(build_table(slices, others))
        parts.append(score_people(slices, own, norms))
    levels, places = zip(*parts, strict=True)
    return pd.concat(levels), pd.concat(places)


def interval_by_site(flags: pd.DataFrame, column: str) -> str:
    """Return a 95 % interval of a mean over people, drawing whole sites with replacement."""
    chance = np.random.default_rng(0)
    sums = flags.groupby("site")[column].agg(["sum", "size"]).to_numpy(float)
    drawn = sums[chance.integers(0, len(sums), (5000, len(sums)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return f" ({low:.3f} to {high:.3f})"


def say_scores(title: str, levels: pd.DataFrame, many_sites: bool = False) -> None:
    """Print mean, SD and share outside per measure and level."""
    say(title)
    for measure, column in Z_COLUMNS.items():
        known = levels.dropna(subset=[column])
        for level, rows in known.groupby("vertebral_level"):
            z = rows[column]
            say(
                f"  {measure} {level_name(int(level))}: n {len(z)}, mean {z.mean():+.2f}, "
                f"SD {z.std():.2f}, outside {(z.abs() > OUTSIDE).mean():.3f}"
            )
        flags = known.assign(out=(known[column].abs() > OUTSIDE).astype(float))
        interval = interval_by_site(flags, "out") if many_sites else ""
        say(
            f"  {measure}, all levels: SD {known[column].std():.3f}, outside "
            f"{flags['out'].mean():.3f}{interval}, below "
            f"{(known[column] < -OUTSIDE).mean():.3f}, above {(known[column] > OUTSIDE).mean():.3f}"
        )


def say_sites(levels: pd.DataFrame, level: int) -> pd.DataFrame:
    """Print mean and SD of the area's z for every site at one level."""
    rows = levels[levels["vertebral_level"] == level].dropna(subset=["area_z"])
    sites = rows.groupby("site")["area_z"].agg(["size", "mean", "std"])
    sites["outside"] = rows.groupby("site")["area_z"].apply(lambda z: (z.abs() > OUTSIDE).sum())
    say(f"area at {level_name(level)}, {len(sites)} sites:")
    for site, row in sites.iterrows():
        say(f"  {site} {row['size']:.0f} {row['mean']:+.2f} {row['std']:.2f} {row['outside']:.0f}")
    within = np.sqrt((sites["std"] ** 2).mean())
    say(f"  SD of the means {sites['mean'].std():.2f}, within {within:.2f}")
    return sites


def draw_sites(sites: pd.DataFrame, path: Path) -> None:
    """Draw mean and SD of z per site, from low to high."""
    ordered = sites.sort_values("mean")
    figure = Figure(figsize=(10, 3.6))
    axis = figure.subplots()
    place = np.arange(len(ordered))
    spread = ordered["std"].fillna(0)
    axis.errorbar(place, ordered["mean"], spread, fmt="o", color="#2874a6", lw=0.8, ms=4)
    axis.axhspan(-OUTSIDE, OUTSIDE, color="grey", alpha=0.12, lw=0)
    axis.axhline(0, color="grey", lw=0.6)
    names = [f"{site} ({size})" for site, size in zip(ordered.index, ordered["size"], strict=True)]
    axis.set_xticks(place, names, rotation=90, fontsize=7)
    axis.set_ylabel("z of the area at C3\n(table without that site)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def say_compression(slices: pd.DataFrame) -> None:
    """Print the largest compression between C3 and C7 in healthy people."""
    norms = load_norms()
    largest = []
    for _, rows in slices.groupby("participant_id"):
        table = rows.sort_values("template_slice", ascending=False)
        table["s_mm"] = -SLICE_MM * table["template_slice"]
        table["doubtful"] = False
        found = normalise_compression(table, norms)
        neck = found[found["vertebral_level"].between(3, 7)]
        largest.append(neck["mscc_norm_percent"].max())
    low, middle, high = np.nanpercentile(largest, [5, 50, 95])
    say(
        f"largest mscc_norm_percent from C3 to C7 in {len(largest)} people: median {middle:.1f}, "
        f"5th to 95th percentile {low:.1f} to {high:.1f}"
    )


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print all and draw the sites."""
    folder, out_dir = (Path(word) for word in sys.argv[1:3])
    slices, people = read_people(folder, SOURCE)
    few = slices[slices["template_slice"] % STEP == 0]
    levels, places = leave_sites_out(few, people)
    say_scores("spine-generic, each site against the others:", levels, many_sites=True)
    for column in Z_COLUMNS.values():
        z = places[column].dropna()
        say(f"  per slice, {column}: SD {z.std():.3f}, outside {(z.abs() > OUTSIDE).mean():.3f}")
    draw_sites(say_sites(levels, 3), out_dir / "normative_sites.png")
    say_compression(slices)
    norms = load_norms()
    for name in ("whole-spine", "VUIIS-MS"):
        slices, people = read_people(folder, name)
        healthy = people[(people["pathology"] == "HC") & people["sex"].isin(["F", "M"])]
        levels, _ = score_people(slices, healthy, norms)
        inside = levels.dropna(subset=["area_z"])["participant_id"].nunique()
        say_scores(f"{name}: {len(healthy)} healthy people, {inside} inside the ages:", levels)
        for measure in MEASURES:
            apart = offsets(slices, healthy, norms, measure)
            say(f"  {measure}, difference to the table, C2 to C7: {apart}")


def offsets(slices: pd.DataFrame, people: pd.DataFrame, norms: Norms, measure: str) -> str:
    """Return mean and standard error over people of the difference at C2 to C7."""
    gaps = []
    for _, person in people.iterrows():
        rows = norms.along(measure, person["sex"])
        own = slices[slices["participant_id"] == person["participant_id"]]
        own = own[own["vertebral_level"].between(2, 7)].set_index("template_slice")[measure]
        gaps.append((own - rows["mean"].reindex(own.index)).mean())
    values = np.array(gaps)[np.isfinite(gaps)]
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} (standard error {error:.3f}, {len(values)} people of any age)"


if __name__ == "__main__":
    main()
