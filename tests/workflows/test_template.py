"""From the cord of a synthetic subject to the generic template: every point in its true place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.cord.files import write_centerline
from spinalprep.image import Image, load, save, to_world
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import write_levels
from spinalprep.phantom.anatomy import GM, LESION, WM, make_person
from spinalprep.registration.transform import read_itk
from spinalprep.template.files import resolve_template
from spinalprep.template.levels import disc_heights
from spinalprep.workflows.template import ToTemplate

SEED = 100003  # turned, bent and tilted more than any person in training


@pytest.mark.slow
@pytest.mark.parametrize("sees_gm", [True, False])
def test_points_of_the_cord_land_where_they_belong(
    sees_gm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    person, template = make_person(SEED), resolve_template("Generic")
    heights = disc_heights(template)
    affine = np.diag([-0.7, 0.7, 2.5, 1.0])
    middle = person.centerline.at(person.centerline.length / 2)
    affine[:3, 3] = middle + np.array([21.0, -28.0, -37.5])
    shares = person.labels_on((60, 80, 30), affine, fine=2)
    cord = Image(shares[[WM, GM, LESION]].sum(axis=0), affine)
    line = centerline_from_mask(cord)
    discs = {n: float(line.project(person.centerline.at(s))[0]) for n, s in person.disc_s.items()}
    mask = save(cord.with_data(cord.data >= 0.5), tmp_path / "cord.nii.gz", np.uint8)
    soft = save(cord, tmp_path / "soft.nii.gz")
    grey = save(cord.with_data(shares[GM]), tmp_path / "gm.nii.gz")
    graph = ToTemplate(
        image=soft,
        cord=mask,
        probability=soft,
        centerline=write_centerline(line, tmp_path / "centerline.tsv"),
        template_cord=template.cord,
        template_z=heights,
        images=sees_gm,
        levels=write_levels(Levels(discs, "manual"), tmp_path / "levels.json"),
        gm=grey if sees_gm else None,
        template_gm=template.gm,
    )
    found = graph(worker="debug", cache_root=tmp_path / "cache")
    inverse, forward = (read_itk(Path(str(f))) for f in (found.inverse, found.forward))
    ijk = np.argwhere(cord.data > 0.9)
    points = to_world(ijk.astype(float), affine)
    truth = person.to_template(points, heights)
    known = np.isfinite(truth).all(axis=1)
    landed = inverse.apply(points)
    off = np.linalg.norm(landed - truth, axis=1)[known]
    assert known.mean() > 0.9
    assert off.mean() < 0.25
    assert np.percentile(off, 95) < 0.4
    assert np.abs(forward.apply(landed) - points).max() < 0.1
    check_cord_of_the_template(found)
    if sees_gm:
        check_images_on_the_template(found, template.cord)


def check_cord_of_the_template(found: Any) -> None:
    assert found.measures.jacobian_min > 0.2
    assert found.measures.dice_subject > 0.96
    own = load(Path(str(found.template_cord))).data
    assert own.any(axis=(0, 1)).all(), "a slice at an end is lost"


def check_images_on_the_template(found: Any, template_cord: Path) -> None:
    model = load(template_cord)
    image, mask, seen = (load(Path(str(f))) for f in (found.image, found.cord, found.coverage))
    assert image.same_grid(model)
    inside = mask.data > 0
    true = (model.data >= 0.5) & inside.any(axis=(0, 1))
    assert 2 * (inside & true).sum() / (inside.sum() + true.sum()) > 0.96
    assert image.data[inside].min() > 0.4  # the soft cord itself went as the image
    assert (seen.data[inside] == 1).all()
    assert not (seen.data > 0)[:, :, ~inside.any(axis=(0, 1))].any()
