"""Tables over people."""

from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.app.group import Group
from spinalprep.app.group_maps import ALL, Sums
from spinalprep.app.log import LOG
from spinalprep.bids.derivatives import write_table
from spinalprep.group.maps import wilson_interval
from spinalprep.group.regions import bootstrap_mean

MISSING = "n/a"


def read_tsv(path: object) -> pd.DataFrame:
    """Read a table with ``n/a`` as missing; numbers stay numbers."""
    return pd.read_csv(str(path), sep="\t", na_values=[MISSING], keep_default_na=False)


def write_people(group: Group, sums: Sums) -> None:
    """Write who counts, who does not and why, with totals of those who count."""
    facts = dict(zip(group.names, sums.facts, strict=True))
    manual = {files.candidate.name: files.lesions_manual for files in group.people}
    rows = []
    for decision in group.decisions:
        c = decision.candidate
        row: dict[str, object] = {
            "person_id": c.person_id,
            "participant_id": c.participant_id,
            "session_id": c.session_id,
            "run": c.run,
            "contrast": c.contrast,
            "cohort": c.cohort,
            "used": decision.used,
            "reason_left_out": decision.reason,
            "level_source": c.level_source,
            "lesions_manual": manual.get(c.name),
        }
        rows.append(row | facts.get(c.name, {}))
    _write(group, "group_people", pd.DataFrame(rows))


def write_person_tables(group: Group) -> None:
    """Write the people's own tables under each other; gates of everybody, numbers of who counts."""
    names = {
        "morph": "group_morph",
        "slices": "group_morph_slices",
        "lesions": "group_lesions",
        "totals": "group_lesion_totals",
    }
    for key, name in names.items():
        parts = [
            identified(read_tsv(files.tables[key]), files.candidate)
            for files in group.people
            if key in files.tables
        ]
        parts = [part for part in parts if len(part)]
        if parts:
            _write(group, name, pd.concat(parts, ignore_index=True))
        else:
            _write(group, name, pd.DataFrame(columns=["person_id", "cohort", "participant_id"]))
    metrics = [
        identified(read_tsv(path), files.candidate)
        for files in group.people
        for path in files.metrics
    ]
    if metrics:
        _write(group, "group_metrics", pd.concat(metrics, ignore_index=True))
    used = set(group.names)
    gates = [
        identified(read_tsv(files.tables["qc"]), files.candidate).assign(
            used=files.candidate.name in used
        )
        for files in group.everybody
        if "qc" in files.tables
    ]
    if gates:
        _write(group, "group_qc", pd.concat(gates, ignore_index=True))


def identified(table: pd.DataFrame, candidate: object) -> pd.DataFrame:
    """Return a table that says first who the person is."""
    found = table.copy()
    found.insert(0, "person_id", getattr(candidate, "person_id"))  # noqa: B009
    found.insert(1, "cohort", getattr(candidate, "cohort"))  # noqa: B009
    return found


def write_occupancy(group: Group, sums: Sums) -> None:
    """Write lesion occupancy per person, and per cohort with intervals."""
    parts = []
    for files, own in zip(group.people, sums.occupancy, strict=True):
        c = files.candidate
        identity = {
            "person_id": c.person_id,
            "cohort": c.cohort,
            "participant_id": c.participant_id,
            "session_id": c.session_id,
        }
        seen = _in_the_image(own, files.tables.get("regions"))
        parts.append(seen.assign(**identity)[[*identity, *seen.columns]])
    _write(group, "group_tracts", pd.concat(parts, ignore_index=True))
    values = np.stack([own["occupancy"].to_numpy(float) for own in sums.occupancy])
    lesion = np.stack([own["lesion_mm3"].to_numpy(float) for own in sums.occupancy])
    rows = {ALL: np.arange(len(group.people)), **group.cohorts()}
    summaries = []
    for name, members in rows.items():
        known = np.isfinite(values[members])
        n = known.sum(axis=0)
        hits = ((lesion[members] > 0) & known).sum(axis=0)
        mean, lower, upper = bootstrap_mean(values[members], group.settings.random_seed)
        low, high = wilson_interval(hits, np.maximum(n, 1))
        few = n < group.settings.min_n
        summary = group.regions.table.assign(
            cohort=name,
            n=n,
            occupancy_mean=np.where(few, np.nan, mean),
            occupancy_lower=np.where(few, np.nan, lower),
            occupancy_upper=np.where(few, np.nan, upper),
            people_with_lesion=hits,
            people_share=np.where(few, np.nan, hits / np.maximum(n, 1)),
            people_share_lower=np.where(few, np.nan, low),
            people_share_upper=np.where(few, np.nan, high),
        )
        summaries.append(summary[["cohort", *summary.columns.drop("cohort")]])
    _write(group, "group_occupancy", pd.concat(summaries, ignore_index=True))
    LOG.info("occupancy of %d regions", len(group.regions.table))


def _in_the_image(occupancy: pd.DataFrame, path: Path | None) -> pd.DataFrame:
    """Add what the image's own table says of the same regions; missing where it has none."""
    names = {"region_mm3": "region_mm3_image", "lesion_mm3": "lesion_mm3_image"}
    if path is None:
        return occupancy.assign(**dict.fromkeys(names.values(), np.nan))
    own = pd.read_csv(path, sep="\t", keep_default_na=False)
    whole = (own["side"] == "both") | (own["kind"] == "tract")
    own = own[whole & (own["lesion"].astype(str) == ALL)].rename(columns=names)
    own = own.rename(columns={"vertebral_level": "levels"})
    keys = ["levels", "kind", "region"]
    for column in names.values():
        own[column] = pd.to_numeric(own[column], errors="coerce")
    return occupancy.merge(own[[*keys, *names.values()]], on=keys, how="left")


def _write(group: Group, name: str, table: pd.DataFrame) -> None:
    write_table(group.settings.out_dir, group.settings.out_dir / f"{name}.tsv", table)
