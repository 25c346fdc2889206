"""Make the normative table anew: ``python -m spinalprep.normative.build FOLDER [OUT_DIR]``.

FOLDER holds the tables of PAM50-normalized-metrics. What is written says how healthy adults are
spread; no person can be read from it.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.normative.model import SEXES, fit_spread
from spinalprep.normative.people import read_people
from spinalprep.normative.table import (
    EVERYBODY,
    LOGARITHMIC,
    MEASURES,
    SHIPPED,
    from_scale,
    to_scale,
)

SOURCE = "spine-generic_multi-subject"
LEAST_PEOPLE = 20  # of each sex
LEAST_SITES = 10
COVERED = 0.9  # of the slices of a level that a person must show to count for it
DIGITS = 5
DESCRIPTION = {
    "Description": "Mean and standard deviation of the cord of healthy adults, per slice of PAM50 "
    "and per vertebral level, for women, men, and as many of both. Computed by "
    "spinalprep.normative.build from per-person tables that are not part of this file.",
    "Sources": [
        "PAM50-normalized-metrics, spine-generic multi-subject, "
        "https://github.com/spinalcordtoolbox/PAM50-normalized-metrics",
    ],
    "License": "MIT (PAM50-normalized-metrics)",
    "Citation": "Valosek et al. (2024), A database of the healthy human spinal cord morphometry in "
    "the PAM50 template space, Imaging Neuroscience 2:1-15, doi:10.1162/imag_a_00075; Cohen-Adad "
    "et al. (2021), Open-access quantitative MRI data of the spinal cord and reproducibility "
    "across participants, sites and manufacturers, Scientific Data 8:219, "
    "doi:10.1038/s41597-021-00941-8",
    "Method": "Masks and measures are the Spinal Cord Toolbox's, on T2w images of 0.8 mm. "
    "Measure (sizes: its logarithm) = mean of the sex + effect of the site + the person's own; the "
    "site's variance is "
    "part of sd. No slope over age: none differs from 0 in these people. A slice or level counts "
    f"from {LEAST_PEOPLE} people of either sex and {LEAST_SITES} sites on; a person counts for a "
    f"level of which {COVERED:.0%} of the slices are seen.",
    "Columns": {
        "measure": "measured quantity",
        "vertebral_level": "C1 = 1, T1 = 8",
        "template_slice": "slice of PAM50, 0 lowest; n/a for the mean over the level",
        "sex": f"F, M, or {EVERYBODY}: as many women as men",
        "n": "people",
        "sites": "sites",
        "age_min": "years, the youngest",
        "age_max": "years, the oldest",
        "mean": f"mean over sites; of {', '.join(LOGARITHMIC)} the geometric mean",
        "sd": "standard deviation of a person of any site, within and between sites; of "
        f"{', '.join(LOGARITHMIC)} that of the natural logarithm",
        "sd_site": "standard deviation between sites, on the same scale",
    },
}


def build_table(slices: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return the normative table of people.

    Parameters
    ----------
    slices, people : DataFrame
        From `read_people`; people without sex or age are left out.

    Returns
    -------
    table : DataFrame
        The columns of `DESCRIPTION`, three rows (women, men, both) per measure and slice, and per
        measure and level (``template_slice`` NaN).
    """
    people = people[people["sex"].isin(SEXES) & people["age"].notna()]
    facts = people.set_index("participant_id")[["sex", "age", "site"]]
    values = slices.join(facts, on="participant_id", how="inner")
    values = values.assign(**{name: to_scale(name, values[name]) for name in MEASURES})
    rows: list[dict[str, Any]] = []
    for level, of_level in values.groupby("vertebral_level"):
        count = of_level["template_slice"].nunique()
        for k, of_slice in of_level.groupby("template_slice"):
            rows += _rows(of_slice, {"vertebral_level": level, "template_slice": k})
        seen = of_level.groupby("participant_id")
        means = seen[list(MEASURES)].mean()[seen.size() >= COVERED * count]
        rows += _rows(means.join(facts), {"vertebral_level": level, "template_slice": np.nan})
    table = pd.DataFrame(rows, columns=list(DESCRIPTION["Columns"]))
    return table.sort_values(
        ["measure", "vertebral_level", "template_slice", "sex"],
        ascending=[True, True, False, True],
        ignore_index=True,
    )


def _rows(people: pd.DataFrame, place: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one place; none where too few people show it."""
    male = (people["sex"] == "M").to_numpy()
    own = {EVERYBODY: np.ones(len(male), bool), "F": ~male, "M": male}
    sites = {sex: people["site"][who].nunique() for sex, who in own.items()}
    few = min(male.sum(), (~male).sum()) < LEAST_PEOPLE
    if few or sites[EVERYBODY] < LEAST_SITES:
        return []
    site: NDArray[np.intp] = pd.factorize(people["site"])[0]
    ages = {sex: people["age"][who] for sex, who in own.items()}
    rows = []
    for measure in MEASURES:
        spread = fit_spread(people[measure].to_numpy(float), male, site)
        both = dict(zip(SEXES, zip(spread.mean, spread.sd, strict=True), strict=True))
        for sex, (mean, sd) in {EVERYBODY: spread.together, **both}.items():
            rows.append(
                {
                    "measure": measure,
                    **place,
                    "sex": sex,
                    "n": int(own[sex].sum()),
                    "sites": sites[sex],
                    "age_min": ages[sex].min(),
                    "age_max": ages[sex].max(),
                    "mean": float(from_scale(measure, mean)),
                    "sd": sd,
                    "sd_site": spread.site,
                }
            )
    return rows


def main() -> None:
    """Read the people, write table and description."""
    folder = Path(sys.argv[1])
    out = Path(sys.argv[2]) / SHIPPED.name if len(sys.argv) > 2 else SHIPPED
    slices, people = read_people(folder, SOURCE)
    table = build_table(slices, people)
    for name in ("mean", "sd", "sd_site"):
        table[name] = [float(f"{value:.{DIGITS}g}") for value in table[name]]
    out.parent.mkdir(parents=True, exist_ok=True)
    table["template_slice"] = table["template_slice"].astype("Int64")
    compression = {"method": "gzip", "mtime": 0}
    table.to_csv(out, sep="\t", index=False, na_rep="n/a", compression=compression)
    inputs = {
        f"{SOURCE}_{name}": sha256((folder / f"{SOURCE}_{name}").read_bytes()).hexdigest()
        for name in ("participants.tsv", "morph.tsv.gz")
    }
    made = DESCRIPTION | {"People": len(people), "Inputs": inputs}
    path = out.with_name(out.name.removesuffix(".tsv.gz") + ".json")
    path.write_text(json.dumps(made, indent=2) + "\n")
    sys.stdout.write(f"{out}: {len(table)} rows of {len(people)} people\n")


if __name__ == "__main__":
    main()
