"""What the program finds in the labeled images of the development folders, kept on disk.

Other benchmarks read it: cord, gray matter and lesions on the image's own grid (voxel order LAS),
sections, and levels, all with default settings, once per image and set of weights. The cache knows
the weights but not the code: give a new folder after a change of the code.
``python benchmarks/predictions.py SHARED CACHE`` fills it with the images of bids-neck.
"""

import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import spinalprep as sp
from spinalprep.api.measure import measure_sections
from spinalprep.image import Image, upright
from spinalprep.networks.cards import packaged_weights

NETWORKS = ("centerline", "cord", "gm", "lesion")


@dataclass(frozen=True)
class Prediction:
    """One image as the program sees it.

    Attributes
    ----------
    cord : Image of bool, shape (I, J, K)
        Voxel order LAS, as all below.
    grey_matter, lesions : Image or None
        Probability; numbers of lesions. None where they were not looked for.
    sections : DataFrame
        A row per slice, superior first, with ``level_at``: n at disc n, n + 0.5 in mid-body.
    discs : mapping of int to ndarray, shape (3,)
        Where discs meet the centerline, RAS+ mm; those in view.
    level_source : str
    level_confidence : float
    """

    cord: Image
    grey_matter: Image | None
    lesions: Image | None
    sections: pd.DataFrame
    discs: Mapping[int, np.ndarray]
    level_source: str
    level_confidence: float


def main() -> None:
    """Fill the cache, one line per image."""
    shared, cache = (Path(word) for word in sys.argv[1:3])
    for path in labelled_images(shared / "data" / "bids-neck"):
        found = predict(path, cache, template=shared / "data" / "PAM50")
        volume = found.cord.data.sum() * abs(np.linalg.det(found.cord.affine[:3, :3]))
        sys.stdout.write(f"{path.name}: cord {volume:.0f} mm3, levels {found.level_source}\n")
        sys.stdout.flush()


def labelled_images(dataset: Path) -> list[Path]:
    """Return the images of a dataset but those with the MT pulse off."""
    found = dataset.glob("sub-*/anat/*.nii.gz")
    return sorted(path for path in found if "mt-off" not in path.name)


def predict(
    path: Path,
    cache: Path,
    weights: Mapping[str, Path] | None = None,
    template: Path | None = None,
    post_process: tuple[str, ...] = (),
) -> Prediction:
    """Return what the program finds in an image; from the cache where it is there.

    Parameters
    ----------
    path : Path
        An image of a BIDS dataset: its name says the contrast.
    cache : Path
        Folder for results; made if it is not there.
    weights : mapping of str to Path, optional
        Networks in place of the packaged ones.
    template : Path, optional
        Folder of PAM50, whose spacings place discs that are not seen; by default what the
        program finds. The cache knows nothing of it.
    post_process : tuple of str
        See `spinalprep.segment`.
    """
    weights = dict(weights or {})
    files = [weights.get(name, packaged_weights(name)) for name in NETWORKS]
    print_of_all = sha256(b"".join(sha256(f.read_bytes()).digest() for f in files)).hexdigest()
    kept = (
        cache
        / f"{path.name.removesuffix('.nii.gz')}_{'_'.join((print_of_all[:12], *post_process))}.pkl"
    )
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        found = _predict(path, weights, template, post_process)
        partial = kept.with_suffix(".part")
        partial.write_bytes(pickle.dumps(found))
        partial.rename(kept)
    result: Prediction = pickle.loads(kept.read_bytes())
    return result


def _predict(
    path: Path, weights: dict[str, Path], template: Path | None, post_process: tuple[str, ...]
) -> Prediction:
    image = sp.load(path)
    models: dict[str, Any] = dict(weights)
    found = sp.segment(image, models=models or None, post_process=post_process)
    levels = sp.label_levels(image, found, template=template)
    sections, line = measure_sections(found), found.centerline
    sections["level_at"] = levels.levels.level_at(sections["s_mm"].to_numpy(float))
    inside = {n: s for n, s in levels.levels.disc_s.items() if 0 <= s <= line.length}
    grey, lesions = found.grey_matter, found.lesions
    cord = upright(found.cord)
    return Prediction(
        cord.with_data(cord.data > 0.5),
        upright(grey) if grey is not None else None,
        upright(lesions) if lesions is not None else None,
        sections,
        {n: np.asarray(line.at(s), float).reshape(3) for n, s in inside.items()},
        levels.source,
        levels.confidence,
    )


if __name__ == "__main__":
    main()
