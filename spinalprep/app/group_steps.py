"""The steps of the group level, in their order; each writes what it is about."""

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep import __version__
from spinalprep.app.group_choice import Group
from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary
from spinalprep.bids.cohort import decision_table
from spinalprep.bids.dataset import write_ignored
from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.group_names import MAPS, MapKind, TableKind, map_path
from spinalprep.bids.group_outputs import GroupWriter
from spinalprep.bids.people import PersonFiles, gather_metrics, gather_tables
from spinalprep.bids.places import group_viewer_path
from spinalprep.group.comparisons import compare_profiles, compare_regions
from spinalprep.group.crops import observations
from spinalprep.group.curves import all_profiles, mean_curves
from spinalprep.group.design import EVERYBODY, Comparison, plan_comparisons
from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import probability_maps
from spinalprep.group.means import mean_image
from spinalprep.group.occupancy import add_image_volumes, summarise_groups
from spinalprep.group.permutation import Plan, Result, compare
from spinalprep.group.regions import Regions, read_regions
from spinalprep.group.sums import Masks, Sums, accumulate
from spinalprep.group.tfce import Enhancer
from spinalprep.image import load
from spinalprep.reports.facts import package_versions
from spinalprep.reports.group import GroupFacts, write_group_report
from spinalprep.reports.group_viewer import write_group_viewer

SUMMED: tuple[MapKind, ...] = ("probability", "lower", "upper", "soft", "coverage")
STATISTICS: tuple[MapKind, ...] = ("t", "p", "effect")
PERSON_TABLES: dict[Kind, TableKind] = {
    "perlevel": "morph",
    "template_slices": "morph_slices",
    "lesion_table": "lesions",
    "lesion_totals": "lesion_totals",
}


@dataclass(frozen=True)
class Steps:
    """The steps of one group; all share the template's cord and its regions."""

    group: Group
    domain: Domain
    regions: Regions

    @classmethod
    def of(cls, group: Group) -> "Steps":
        """Read the template that the steps share."""
        domain = Domain.of(load(group.template.cord))
        return cls(group, domain, read_regions(group.template, domain))

    def take(self) -> Path:
        """Take them all, one line of log each, and return the report."""
        s = self.group.settings
        write_ignored(s.out_dir)
        comparisons = self.plan()
        masks = None
        if comparisons:
            masks = Masks.on_disk(self.group.work, len(self.group.people), self.domain.size)
        sums = self.sum_up(masks)
        self.write_maps(sums)
        self.write_people(sums)
        self.write_person_tables()
        self.write_occupancy(sums)
        if masks is not None:
            self.test_voxels(masks, comparisons)
        self.write_curves(sums, comparisons)
        self.write_means()
        page = self.write_report(comparisons)
        end_temporary(s.out_dir)
        return page

    @cached_property
    def writer(self) -> GroupWriter:
        """Writes maps and tables."""
        s = self.group.settings
        template, warnings = self.group.template, self.group.warnings
        return GroupWriter(s.out_dir, template, self.domain.affine, s.min_n, warnings)

    @property
    def tests(self) -> Plan:
        """How people are compared."""
        s = self.group.settings
        return Plan(s.n_permutations, s.random_seed, s.min_n)

    def plan(self) -> list[Comparison]:
        """Say who is compared with whom."""
        s = self.group.settings
        comparisons = plan_comparisons(self.group.table, s.cohort_column, s.covariate, s.nuisance)
        if s.cohort_column is not None and not comparisons:
            LOG.warning(
                "--cohort-column %s has fewer than two values with at least two participants each",
                s.cohort_column,
            )
        for c in comparisons:
            LOG.info("comparison %s: %d participants", c.question, len(c.rows))
            if c.dropped:
                names = ", ".join(c.dropped)
                LOG.warning("%s: excluded for lack of a value: %s", c.question, names)
        return comparisons

    def sum_up(self, masks: Masks | None) -> Sums:
        """Read everybody once."""
        group, kept = self.group, 0

        def people() -> Iterator[Observation]:
            nonlocal kept
            folder, workers = group.work / "people", group.settings.nprocs
            for person, known in observations(group.people, self.domain, folder, workers):
                kept += known
                yield person

        sums = accumulate(people(), self.domain, self.regions, group.rows, masks)
        LOG.info("maps: %d participants, %d of them from earlier runs", len(group.people), kept)
        return sums

    def write_maps(self, sums: Sums) -> None:
        """Write probability, interval, soft mean and coverage, of all and of each cohort."""
        s, template = self.group.settings, self.group.template.name
        for name, tally in sums.tallies.items():
            maps = probability_maps(tally, s.min_n)
            covering = self.group.of(self.group.rows[name])
            searched = [files for files in covering if files.lesion is not None]
            for kind in SUMMED:
                people = covering if kind == "coverage" else searched
                if not people or (kind == "soft" and not tally.soft_covering.any()):
                    continue
                fill = 0.0 if kind == "coverage" else np.nan
                volume = self.domain.put(getattr(maps, kind), fill)
                path = map_path(s.out_dir, kind, template, None if name == EVERYBODY else name)
                self.writer.map(path, volume, MAPS[kind].description, people)

    def write_people(self, sums: Sums) -> None:
        """Write who counts, who does not and why, with totals of those who count."""
        table = decision_table(self.group.decisions)
        names = [files.name for files in self.group.people]
        table["lesions_searched"] = pd.Series(
            [files.lesion is not None for files in self.group.people], names, dtype=object
        )
        table["lesions_manual"] = pd.Series(
            [files.lesions_manual for files in self.group.people], names, dtype=object
        )
        self.writer.table("people", table.join(sums.facts.set_axis(names)))

    def write_person_tables(self) -> None:
        """Write the people's own tables; the gates of everybody, numbers of who counts."""
        nobody = pd.DataFrame(columns=["person_id", "cohort", "participant_id"])
        for kind, name in PERSON_TABLES.items():
            table = gather_tables(self.group.people, kind)
            self.writer.table(name, nobody if table is None else table)
        metrics = gather_metrics(self.group.people)
        if metrics is not None:
            self.writer.table("metrics", metrics)
        used = {files.name for files in self.group.people}
        gates = gather_tables(self.group.everybody, "qc", used)
        if gates is not None:
            self.writer.table("qc", gates)

    def write_occupancy(self, sums: Sums) -> None:
        """Write lesion occupancy per person, and per cohort with intervals."""
        s, parts = self.group.settings, []
        for files, own in zip(self.group.people, sums.occupancy, strict=True):
            seen = add_image_volumes(own, files.table("lesion_regions"))
            parts.append(files.identified(seen, visit=True))
        self.writer.table("tracts", pd.concat(parts, ignore_index=True))
        values, lesion = sums.values("occupancy"), sums.values("lesion_mm3")
        summary = summarise_groups(
            self.regions, (values, lesion), self.group.rows, s.min_n, s.random_seed
        )
        self.writer.table("occupancy", summary)
        LOG.info("occupancy of %d regions", len(self.regions.table))

    def test_voxels(self, masks: Masks, comparisons: Sequence[Comparison]) -> None:
        """Test every voxel, and write the maps."""
        enhance = Enhancer(self.domain) if self.group.settings.tfce else None
        for comparison in comparisons:
            found = compare(masks.lesions, masks.searched, comparison, self.tests, enhance)
            LOG.info(
                "%s: %d voxels tested, %d with p <= 0.05 (corrected, %d permutations)",
                comparison.question,
                np.isfinite(found.p).sum(),
                (found.p <= 0.05).sum(),
                found.permutations,
            )
            for kind in STATISTICS:
                self._write_statistic(comparison, found, kind, getattr(found, kind))
            if found.p_enhanced is not None:
                self._write_statistic(comparison, found, "p", found.p_enhanced, enhanced=True)

    def _write_statistic(
        self,
        comparison: Comparison,
        found: Result,
        kind: MapKind,
        values: NDArray[np.float32],
        *,
        enhanced: bool = False,
    ) -> None:
        s = self.group.settings
        name = f"{comparison.name}TFCE" if enhanced else comparison.name
        path = map_path(s.out_dir, kind, self.group.template.name, name=name)
        tested = np.isfinite(found.p)
        n = found.n[tested]
        more = {
            "Permutations": found.permutations,
            "Seed": s.random_seed,
            "Tail": "two-sided",
            "Correction": "threshold-free cluster enhancement" if enhanced else "maximum statistic",
            "Nuisance": list(s.nuisance),
            "VoxelsTested": int(tested.sum()),
            "SampleSizePerVoxel": [int(n.min()), int(n.max())] if len(n) else [],
        }
        text = f"{MAPS[kind].description}: {comparison.question}"
        self.writer.map(path, self.domain.put(values), text, self.group.of(comparison.rows), more)

    def write_curves(self, sums: Sums, comparisons: Sequence[Comparison]) -> None:
        """Write measures along the cord, and all comparisons of regions and of curves."""
        people = [files.candidate.person_id for files in self.group.people]
        profiles = all_profiles(gather_tables(self.group.people, "template_slices"), people)
        curves = mean_curves(profiles, self.group.rows, self.group.settings.min_n)
        self.writer.table("curves", curves)
        if comparisons:
            occupancy, regions = sums.values("occupancy"), self.regions.table
            tables = compare_regions(occupancy, regions, comparisons, self.tests)
            tables += compare_profiles(profiles, comparisons, self.tests)
            self.writer.table("comparison", pd.concat(tables, ignore_index=True))

    def write_means(self) -> None:
        """Write the mean image of every contrast; people of earlier runs are not read again."""
        s, template = self.group.settings, self.group.template.name
        found: dict[tuple[str, Path], list[PersonFiles]] = {}
        for files in self.group.people:
            if files.image_name is not None:
                path = map_path(s.out_dir, "mean", template, image=files.image_name)
                found.setdefault((files.image_name.contrast, path), []).append(files)
        for (contrast, path), people in found.items():
            kept = self.group.work / path.with_suffix("").with_suffix(".npz").name
            volume = mean_image(people, self.domain, kept, s.min_n)
            self.writer.map(
                path, volume, MAPS["mean"].description, people, {"SkullStripped": False}
            )
            LOG.info("mean %s of %d participants", contrast, len(people))

    def write_report(self, comparisons: Sequence[Comparison]) -> Path:
        """Write ``group.html`` and ``group_viewer.html``."""
        s, template = self.group.settings, self.group.template
        facts = GroupFacts(
            command=shlex.join(["spinalprep", *sys.argv[1:]]),
            version=__version__,
            template_name=template.name,
            template_version=template.version,
            template_cord=template.cord,
            template_levels=template.levels,
            template_gm=template.gm,
            template_t2=template.t2,
            people=len(self.group.people),
            cohorts={name: len(rows) for name, rows in self.group.cohorts.items()},
            min_n=s.min_n,
            permutations=s.n_permutations,
            nuisance=s.nuisance,
            comparisons=tuple((c.name, c.question) for c in comparisons),
            models={k: v[:12] for k, v in self.group.people[0].origin.models.items()},
            warnings=self.group.warnings,
            packages=package_versions(),
            finished_at=time.strftime("%Y-%m-%d %H:%M"),
        )
        if s.viewer:
            write_group_viewer(s.out_dir, facts)
        else:
            group_viewer_path(s.out_dir).unlink(missing_ok=True)
        return write_group_report(s.out_dir, facts)
