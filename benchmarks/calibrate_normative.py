"""Calibrate the normative table on people who are in a published table and measured here.

``python benchmarks/calibrate_normative.py SHARED CACHE [--write]``
measures the T2w necks of SHARED/data/bids-neck with the packaged networks (minutes each; CACHE
keeps them), lays their sections on the slices of PAM50 on which the Spinal Cord Toolbox's measures
of the same people are published (whole-spine of SHARED/data/normative), and prints by level what
differs, how well each way to calibrate tells it of people left out, and the z-scores of people left
out. ``--write`` writes spinalprep/data/normative/calibration_T2w.json: run it whenever the packaged
cord network, or how areas are measured, has changed.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from predictions import predict

from spinalprep.cord.shape import is_averaged
from spinalprep.levels.discs import level_name
from spinalprep.networks.cards import packaged_weights, read_card
from spinalprep.normative.calibrating import (
    METHODS,
    average_levels,
    calibrate_measure,
    choose,
    left_out_errors,
    nested_errors,
    pair_slices,
    plain_slope,
)
from spinalprep.normative.calibration import COLUMNS, SHIPPED
from spinalprep.normative.people import read_people
from spinalprep.normative.table import EVERYBODY, LOGARITHMIC, MEASURES, Norms, load_norms

PUBLISHED = "whole-spine"
PEOPLE = {
    "neck01": "unf_errsm_11",
    "neck02": "unf_errsm_18",
    "neck03": "unf_errsm_20",
    "neck04": "unf_errsm_24",
}
VOXEL_MM = (0.7, 1.3)  # the necks have 1 mm, the table's people 0.8 mm; a judgment
SHOWN = range(1, 14)  # C1 to T6: as far down as the necks show
DESCRIPTION = (
    "By how much cord masks of this package's network differ from those of the normative table, by "
    "vertebral level: people who were measured both ways. Made by "
    "benchmarks/calibrate_normative.py; holds for these weights only."
)


def read_pairs(shared: Path, cache: Path, norms: Norms) -> dict[str, pd.DataFrame]:
    """Return the paired slices of all people, by measure."""
    data = shared / "data"
    published, facts = read_people(data / "normative", PUBLISHED)
    spans = published.groupby("vertebral_level")["template_slice"].agg(["min", "max"])
    own = spans.loc[published["vertebral_level"]].reset_index(drop=True)
    depth = (own["max"] - published["template_slice"] + 0.5) / (own["max"] - own["min"] + 1)
    published["place"] = published["vertebral_level"] + depth
    names = facts.set_index("source_id")["participant_id"]
    pairs: dict[str, list[pd.DataFrame]] = {measure: [] for measure in MEASURES}
    for person, source in PEOPLE.items():
        path = data / "bids-neck" / f"sub-{person}" / "anat" / f"sub-{person}_T2w.nii.gz"
        found = predict(path, cache, template=data / "PAM50")
        say(f"{person}: levels {found.level_source}, probability {found.level_confidence:.3f}")
        sections = found.sections[is_averaged(found.sections)]
        theirs = published[
            (published["participant_id"] == names[source])
            & published["vertebral_level"].isin(SHOWN)
        ]
        for measure, parts in pairs.items():
            parts.append(pair_slices(sections, theirs, norms, measure).assign(person=person))
    return {measure: pd.concat(parts, ignore_index=True) for measure, parts in pairs.items()}


def say_differences(measure: str, slices: pd.DataFrame) -> None:
    """Print ours minus theirs by level, in the measure's unit; correlation along each person."""
    back = np.exp if measure in LOGARITHMIC else np.asarray
    known = slices.dropna(subset=["ours", "theirs"])
    known = known.assign(apart=back(known["ours"]) - back(known["theirs"]))
    means = known.pivot_table(index="vertebral_level", columns="person", values="apart")
    ratio = known.assign(log=known["ours"] - known["theirs"]).pivot_table(
        index="vertebral_level", columns="person", values="log"
    )
    say(f"\n{measure}: ours minus theirs ({', '.join(means.columns)}; mean; mean on the scale)")
    for level, row in means.iterrows():
        cells = "  ".join(f"{value:+7.3f}" for value in row)
        say(
            f"  {level_name(int(level)):3s} {cells}   {row.mean():+7.3f}   "
            f"{ratio.loc[level].mean():+.4f} (SD {ratio.loc[level].std():.4f})"
        )
    r = [own["ours"].corr(own["theirs"]) for _, own in known.groupby("person")]
    say("  r along each person: " + ", ".join(f"{value:.2f}" for value in r))


def say_methods(measure: str, pairs: pd.DataFrame) -> None:
    """Print how much of people left out each method misses."""
    say(f"{measure}: root mean square of what is missed of people left out")
    plain = (pairs["ours"] - pairs["theirs"]).to_numpy()
    say(f"  no calibration                      {rms(plain):.4f}")
    for method in METHODS:
        missed = rms(left_out_errors(pairs, method))
        say(f"  width {method.width:3.0f} levels, slope {method.slope:.2f}        {missed:.4f}")
    chosen = choose(pairs)
    say(f"  chosen inside, of the others alone  {rms(nested_errors(pairs)):.4f}")
    people = pairs["person"].unique()
    without = ", ".join(f"{plain_slope(pairs[pairs['person'] != p]):.2f}" for p in people)
    say(
        f"  chosen of all: {chosen}, slope of least squares "
        f"{plain_slope(pairs):.2f}, without each person {without}"
    )


def say_rows(measure: str, rows: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Print the calibration by level, and what z people left out get against the true one."""
    unit = "share" if measure in LOGARITHMIC else "ratio"
    say(f"{measure}: calibration ({unit})")
    for _, row in rows.iterrows():
        wide = np.hypot(row["sd_table"], row["spread"])
        level, table = level_name(row["vertebral_level"]), row["sd_table"]
        say(
            f"  {level:3s} n {row['n']}, offset {row['offset']:+.3f}, spread {row['spread']:.3f} "
            f"(slice {row['spread_slice']:.3f}), table {table:.3f}, 95 % of healthy people within "
            f"{1.96 * wide:.3f} (table alone {1.96 * table:.3f}); "
            f"{'usable' if row['usable'] else 'NOT USABLE'}"
            f"{'' if row['usable_slice'] or not row['usable'] else ', single slices not'}"
        )
    sd = rows.set_index("vertebral_level").reindex(pairs["vertebral_level"])
    errors = nested_errors(pairs)
    theirs = (pairs["theirs"] - pairs["middle"]) / sd["sd_table"].to_numpy()
    before = (pairs["ours"] - pairs["middle"]) / sd["sd_table"].to_numpy()
    wide = np.hypot(sd["sd_table"], sd["spread"]).to_numpy()
    after = (pairs["theirs"] - pairs["middle"] + errors) / wide
    apart = ((after - theirs).abs().mean(), (before - theirs).abs().mean())
    say(
        f"  z of people left out, against that of their published measures: {apart[0]:.2f} away "
        f"in the mean ({apart[1]:.2f} uncalibrated)"
    )


def rms(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.nanmean(values**2)))


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print, and write where asked."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("shared", type=Path)
    words.add_argument("cache", type=Path)
    words.add_argument("--write", action="store_true")
    given = words.parse_args()
    norms = load_norms()
    rows: list[dict[str, object]] = []
    for measure, slices in read_pairs(given.shared, given.cache, norms).items():
        healthy = norms.of_levels(measure, EVERYBODY)
        pairs = average_levels(slices)
        pairs = pairs[pairs["vertebral_level"].isin(healthy.index)].reset_index(drop=True)
        say_differences(measure, slices)
        say_methods(measure, pairs)
        own = calibrate_measure(slices, norms, measure)
        say_rows(measure, pd.DataFrame(own), pairs)
        rows += own
    if given.write:
        card = read_card(packaged_weights("cord"))
        network = {name: card[name] for name in ("name", "version", "sha256", "temperature")}
        made = {
            "Description": DESCRIPTION,
            "Date": date.today().isoformat(),
            "People": len(PEOPLE),
            "PublishedTable": f"{PUBLISHED} of PAM50-normalized-metrics (Valosek et al. 2024)",
            "Contrast": "T2w",
            "VoxelSizeRange": list(VOXEL_MM),
            "Network": network,
            "Levels": [{name: row[name] for name in COLUMNS} for row in rows],
        }
        SHIPPED.write_text(json.dumps(made, indent=1) + "\n")
        say(f"\nwritten: {SHIPPED}")


if __name__ == "__main__":
    main()
