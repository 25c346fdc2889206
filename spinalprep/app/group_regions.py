"""The template's regions on the group's voxels."""

import numpy as np

from spinalprep.app.group_crops import read_on_grid
from spinalprep.group.domain import Domain
from spinalprep.group.regions import Regions, build_regions
from spinalprep.levels.discs import level_name
from spinalprep.template.files import Template
from spinalprep.template.regions import FLUID, combined_regions, region_names


def read_regions(template: Template, domain: Domain) -> Regions:
    """Read levels and atlas of a template, one volume at a time."""
    levels = domain.take(read_on_grid(template.levels, domain)).astype(np.int64)
    names = {int(n): level_name(int(n)) for n in np.unique(levels) if n > 0}
    tracts = []
    for name, path in zip(region_names(template), template.atlas, strict=True):
        share = domain.take(read_on_grid(path, domain)).astype(np.float32)
        tracts.append((name, np.clip(share, 0.0, 1.0)))
    kept = [n for n, (name, _) in enumerate(tracts) if not name.startswith(FLUID)]
    total = np.sum([tracts[n][1] for n in kept], axis=0) if kept else np.ones(domain.size)
    total = np.where(total > 0, total, 1.0).astype(np.float32)  # shares add up to one in the cord
    combined = {
        name: tuple(kept.index(n) for n in parts if n in kept)
        for name, parts in combined_regions(template).items()
    }
    shares = [(tracts[n][0], tracts[n][1] / total) for n in kept]
    return build_regions(domain, levels, names, shares, combined)
