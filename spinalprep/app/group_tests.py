"""Statistics over people, and curves along the cord."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spinalprep.app.group import Group
from spinalprep.app.group_maps import ALL, Sums, sidecar_of
from spinalprep.app.group_tables import identified, read_tsv
from spinalprep.app.log import LOG
from spinalprep.bids.derivatives import write_table
from spinalprep.bids.group_outputs import STATISTICS, group_path, write_map
from spinalprep.group.curves import compare_curves, gather_profiles, mean_curve
from spinalprep.group.design import Comparison
from spinalprep.group.permutation import Plan, Result, compare
from spinalprep.group.tfce import Enhancer

CURVES = ("area_mm2", "gm_area_mm2", "gm_ratio", "diameter_ap_mm", "diameter_rl_mm")
COLUMNS = (
    *("comparison", "measure", "levels", "kind", "region", "n", "n_a", "n_b", "t", "df"),
    *("effect", "lower", "upper", "p_uncorrected", "p_fwe"),
)


def test_maps(group: Group, sums: Sums, comparisons: Sequence[Comparison]) -> list[pd.DataFrame]:
    """Test every voxel and write the maps; nothing of it goes into the table."""
    s = group.settings
    plan = Plan(s.n_permutations, s.random_seed, s.min_n)
    enhance = Enhancer(group.domain) if s.tfce else None
    for comparison in comparisons:
        found = compare(sums.lesions, sums.covered, comparison, plan, enhance)
        tested = int(np.isfinite(found.p).sum())
        significant = int((found.p <= 0.05).sum())
        LOG.info(
            "%s: %d voxels tested, %d with p <= 0.05 (corrected, %d permutations)",
            comparison.question,
            tested,
            significant,
            found.permutations,
        )
        maps = {key: (comparison.name, getattr(found, key)) for key in STATISTICS}
        for key, (name, values) in maps.items():
            _write_statistic(group, comparison, found, (name, key, "maximum statistic"), values)
        if found.p_enhanced is not None:
            names = (f"{comparison.name}TFCE", "p", "threshold-free cluster enhancement")
            _write_statistic(group, comparison, found, names, found.p_enhanced)
    return []


def _write_statistic(
    group: Group,
    comparison: Comparison,
    found: Result,
    names: tuple[str, str, str],
    values: np.ndarray,
) -> None:
    name, key, correction = names
    s = group.settings
    ending = f"desc-{name}_stat-{key}_statmap"
    path = group_path(s.out_dir, group.template.name, ending)
    tested = np.isfinite(found.p)
    n = found.n[tested]
    sidecar = sidecar_of(
        group,
        f"{STATISTICS[key]}: {comparison.question}",
        [group.names[row] for row in comparison.rows],
        {
            "Permutations": found.permutations,
            "Seed": s.random_seed,
            "Tail": "two-sided",
            "Correction": correction,
            "Nuisance": list(s.nuisance),
            "VoxelsTested": int(tested.sum()),
            "SampleSizePerVoxel": [int(n.min()), int(n.max())] if len(n) else [],
        },
    )
    write_map(s.out_dir, path, group.domain.put(values), group.domain.affine, sidecar)


def test_regions(group: Group, sums: Sums, comparisons: Sequence[Comparison]) -> list[pd.DataFrame]:
    """Test the occupancy of every region; p is corrected for all regions."""
    s = group.settings
    values = np.stack([own["occupancy"].to_numpy(float) for own in sums.occupancy])
    plan = Plan(s.n_permutations, s.random_seed, s.min_n)
    tables = []
    for comparison in comparisons:
        found = compare(np.nan_to_num(values), np.isfinite(values), comparison, plan)
        tables.append(_rows(comparison, "occupancy", group.regions.table, found))
    return tables


def write_curves(
    group: Group, comparisons: Sequence[Comparison], tables: list[pd.DataFrame]
) -> None:
    """Write measures along the cord, test them, and write all region-wise statistics."""
    s = group.settings
    parts = [
        identified(read_tsv(files.tables["slices"]), files.candidate)
        for files in group.people
        if "slices" in files.tables
    ]
    slices = pd.concat([p for p in parts if len(p)], ignore_index=True) if parts else None
    people = [files.candidate.person_id for files in group.people]
    rows = {ALL: np.arange(len(people)), **group.cohorts()}
    plan = Plan(s.n_permutations, s.random_seed, s.min_n)
    curves = []
    for measure in CURVES:
        if slices is None or measure not in slices or slices[measure].isna().all():
            continue
        profiles = gather_profiles(slices, measure, people)
        for name, members in rows.items():
            curve = mean_curve(profiles, members, s.min_n)
            curve.insert(0, "cohort", name)
            curve.insert(1, "measure", measure)
            curves.append(curve)
        for comparison in comparisons:
            where = pd.DataFrame({"levels": profiles.levels, "kind": "slice"})
            where["region"] = [str(k) for k in profiles.slices]
            found = compare_curves(profiles, comparison, plan)
            tables.append(_rows(comparison, measure, where, found))
    columns = ["cohort", "measure", "template_slice", "vertebral_level", "n", "mean", "sd"]
    empty = pd.DataFrame(columns=[*columns, "lower", "upper"])
    table = pd.concat(curves, ignore_index=True) if curves else empty
    write_table(s.out_dir, s.out_dir / "group_curves.tsv", table)
    if comparisons:
        whole = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
        write_table(s.out_dir, s.out_dir / "group_comparison.tsv", whole)


def _rows(comparison: Comparison, measure: str, where: pd.DataFrame, found: Result) -> pd.DataFrame:
    """Return the rows of what was tested."""
    table = where.assign(
        comparison=comparison.question,
        measure=measure,
        n=found.n,
        n_a=found.n_first if found.n_first is not None else np.nan,
        n_b=found.n - found.n_first if found.n_first is not None else np.nan,
        lower=found.lower,
        upper=found.upper,
        t=found.t,
        df=found.df,
        effect=found.effect,
        p_uncorrected=found.p_uncorrected,
        p_fwe=found.p,
    )
    return table[np.isfinite(found.p)]
