"""Regions of the template's cord: levels times columns, tissues and tracts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from spinalprep.group.domain import Domain
from spinalprep.group.volumes import read_on_grid
from spinalprep.levels.discs import level_name
from spinalprep.template.files import Template
from spinalprep.template.regions import (
    COLUMNS,
    CORD,
    FLUID,
    TISSUES,
    combined_regions,
    region_names,
)

LEVEL_GROUPS = {
    "C1-C3": range(1, 4),
    "C4-C7": range(4, 8),
    "T1-T6": range(8, 14),
    "T7-T12": range(14, 20),
    "L1-L5": range(20, 25),
}


@dataclass(frozen=True)
class Regions:
    """Regions of the cord: levels times what lies across it.

    Attributes
    ----------
    table : DataFrame
        A row per region: ``levels`` (``all``, ``C1-C3``, ``C4``...), ``kind`` (``cord``,
        ``column``, ``tissue``, ``tract``) and ``region``.
    share : sparse array, shape (R, V), float32
        Share of each voxel that belongs to the region.
    voxel_mm3 : float
    """

    table: pd.DataFrame
    share: sparse.csr_array
    voxel_mm3: float


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


def build_regions(
    domain: Domain,
    levels: NDArray[np.integer],
    level_names: Mapping[int, str],
    tracts: Sequence[tuple[str, NDArray[np.float32]]] = (),
    combined: Mapping[str, Sequence[int]] | None = None,
) -> Regions:
    """Lay levels and atlas over each other.

    Parameters
    ----------
    domain : Domain
        The template's cord, V voxels.
    levels : ndarray of int, shape (V,)
        Vertebral level of every voxel, C1 = 1; 0 where there is none.
    level_names : mapping of int to str
        What the levels are called.
    tracts : sequence of (name, ndarray of float32 of shape (V,))
        Share of each voxel that is this region of the atlas; empty without an atlas.
    combined : mapping of str to sequence of int, optional
        The atlas's combined regions as indices of ``tracts``.
    """
    across: list[tuple[str, str, NDArray[np.float32]]] = [
        (CORD, CORD, np.ones(domain.size, np.float32))
    ]
    for kind, wanted in (("column", COLUMNS), ("tissue", TISSUES)):
        for name, short in wanted.items():
            if combined and name in combined and tracts:
                parts = [tracts[n][1] for n in combined[name] if n < len(tracts)]
                across.append((kind, short, np.sum(parts, axis=0, dtype=np.float32)))
    across += [("tract", name, share) for name, share in tracts]
    along: list[tuple[str, NDArray[np.bool_]]] = [("all", np.ones(domain.size, bool))]
    along += [(name, np.isin(levels, list(group))) for name, group in LEVEL_GROUPS.items()]
    along += [(level_names[n], levels == n) for n in sorted(set(levels.tolist()) - {0})]
    base = sparse.csr_array(np.stack([share for *_, share in across]))
    wide = [n for n, (kind, *_) in enumerate(across) if kind != "tract"]
    rows, blocks = [], []
    for where, there in along:
        if not there.any():
            continue
        single = where != "all" and where not in LEVEL_GROUPS  # a tract in one level is a few mm3
        part = wide if single else list(range(len(across)))
        blocks.append(base[part].multiply(there[None, :].astype(np.float32)).tocsr())
        rows += [{"levels": where, "kind": across[n][0], "region": across[n][1]} for n in part]
    share = sparse.csr_array(sparse.vstack(blocks))
    table = pd.DataFrame(rows)
    kept = np.asarray(share.sum(axis=1)).ravel() * domain.voxel_mm3 >= 1.0  # an empty overlap
    return Regions(table[kept].reset_index(drop=True), share[kept], domain.voxel_mm3)
