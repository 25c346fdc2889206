"""Mean images over people, added one at a time and kept between runs."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinalprep.group.domain import Domain, Float32
from spinalprep.group.volumes import Volumes, read_on_grid

MARGIN_MM = 12.0  # around the template's cord
SAVED_EVERY = 25  # people
Box = tuple[slice, ...]


@dataclass
class MeanImage:
    """Running mean of images on one grid, over the people who cover each voxel."""

    total: NDArray[np.float64]
    count: NDArray[np.int32]

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "MeanImage":
        """Return the mean of nobody."""
        return cls(np.zeros(shape), np.zeros(shape, np.int32))

    def add(self, image: Float32) -> None:
        """Add an image; NaN is not covered."""
        known = np.isfinite(image)
        self.total[known] += image[known]
        self.count += known

    def mean(self, min_n: int) -> Float32:
        """Return the mean; NaN where fewer than ``min_n`` people cover a voxel."""
        enough = self.count >= max(min_n, 1)
        mean = np.where(enough, self.total / np.maximum(self.count, 1), np.nan)
        return mean.astype(np.float32)


def scale_to_cord(image: Float32, cord: NDArray[np.bool_]) -> Float32:
    """Scale intensities so that the median of the cord is 1; NaN stays.

    Parameters
    ----------
    image : ndarray of float32
        NaN where it was not acquired.
    cord : ndarray of bool, same shape
        The cord.
    """
    inside = image[cord & np.isfinite(image)]
    middle = float(np.median(inside)) if inside.size else 0.0
    if middle <= 0:
        return np.full_like(image, np.nan)
    return image / np.float32(middle)


def mean_image(people: Sequence[Volumes], domain: Domain, kept: Path, min_n: int) -> Float32:
    """Return the mean image of people around the template's cord.

    Parameters
    ----------
    people : sequence of Volumes
        Who have an image.
    domain : Domain
        The template's cord.
    kept : Path
        File of the sum so far (``.npz``): people of earlier runs are not read again, unless
        somebody in it has left or changed.
    min_n : int
        Voxels that fewer people cover are NaN.

    Returns
    -------
    volume : ndarray of float32, shape (I, J, K)
        On the template's grid; each image is scaled by `scale_to_cord`. NaN beyond 12 mm of the
        cord.
    """
    box = _box(domain)
    keys = {f"{person.name} {_content(person)}": person for person in people}
    mean, have = _earlier(kept, set(keys), tuple(part.stop - part.start for part in box))
    cord = domain.put(np.ones(domain.size), 0.0)[box] > 0
    missing = [key for key in keys if key not in have]
    for n, key in enumerate(missing, start=1):
        mean.add(_scaled(keys[key], domain, box, cord))
        have.add(key)
        if n % SAVED_EVERY == 0 or n == len(missing):  # an interrupted run goes on from here
            _keep(kept, mean, have)
    volume = np.full(domain.shape, np.nan, np.float32)
    volume[box] = mean.mean(min_n)
    return volume


def _box(domain: Domain) -> Box:
    """Return the box of the cord with a margin in plane."""
    sizes = np.linalg.norm(domain.affine[:3, :3], axis=0)
    margin = np.array([*np.ceil(MARGIN_MM / sizes[:2]), 0]).astype(int)
    low = np.maximum(domain.ijk.min(axis=0) - margin, 0)
    high = np.minimum(domain.ijk.max(axis=0) + margin + 1, domain.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _earlier(path: Path, wanted: set[str], shape: tuple[int, ...]) -> tuple[MeanImage, set[str]]:
    """Return the sum of an earlier run and who is in it; of nobody where it can't be used."""
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as kept:
                earlier = set(kept["keys"].tolist())
                if earlier <= wanted and kept["total"].shape == shape:
                    return MeanImage(kept["total"], kept["count"]), earlier
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
    return MeanImage.empty(shape), set()


def _keep(path: Path, mean: MeanImage, have: set[str]) -> None:
    """Write a sum with who is in it; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    with temporary.open("wb") as stream:
        np.savez(stream, keys=np.array(sorted(have)), total=mean.total, count=mean.count)
    temporary.replace(path)


def _content(person: Volumes) -> str:
    digest = sha256()
    for path in _volumes(person):
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _volumes(person: Volumes) -> Iterator[Path]:
    """Yield the image, if there is one, and what it covers."""
    if person.image is not None:
        yield person.image
    yield person.coverage


def _scaled(person: Volumes, domain: Domain, box: Box, cord: NDArray[np.bool_]) -> Float32:
    """Return the box of a person's image, scaled; NaN outside the field of view."""
    image, coverage = (read_on_grid(path, domain)[box] for path in _volumes(person))
    seen = np.where(coverage > 0, np.asarray(image, np.float32), np.float32(np.nan))
    return scale_to_cord(seen, cord)
