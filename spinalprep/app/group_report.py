"""What the group's report is told."""

import shlex
import sys
import time
from collections.abc import Sequence

from spinalprep import __version__
from spinalprep.app.group import Group
from spinalprep.group.design import Comparison
from spinalprep.reports.facts import package_versions
from spinalprep.reports.group import GroupFacts, write_group_report


def write_report(group: Group, comparisons: Sequence[Comparison]) -> None:
    """Write ``group.html``."""
    s, template = group.settings, group.template
    cohorts = {name: len(rows) for name, rows in group.cohorts().items()}
    first = group.people[0].origin
    facts = GroupFacts(
        command=shlex.join(["spinalprep", *sys.argv[1:]]),
        version=__version__,
        template_name=template.name,
        template_version=template.version,
        template_cord=template.cord,
        template_levels=template.levels,
        template_gm=template.gm,
        people=len(group.people),
        cohorts=cohorts,
        min_n=s.min_n,
        permutations=s.n_permutations,
        nuisance=s.nuisance,
        comparisons=tuple((c.name, c.question) for c in comparisons),
        models={name: value[:12] for name, value in first.models.items()},
        warnings=group.warnings,
        packages=package_versions(),
        finished_at=time.strftime("%Y-%m-%d %H:%M"),
    )
    write_group_report(s.out_dir, facts)
