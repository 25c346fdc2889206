"""The picture of samples: real slices left, generated ones right, the truth outlined."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imread

from spinalprep.training.material.slices import Slices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.pictures import EDGE, GAP_PX, PER_ROW, SHOWN, ZOOM, draw_samples


def test_picture_holds_twenty_of_each_with_outlines(tmp_path: Path) -> None:
    n, size = 3, 32
    cord = np.zeros((n, size, size), np.float32)
    cord[:, 12:20, 12:20] = 1.0
    known = np.ones(n, bool)
    centre = np.full((n, 2), 16.0, np.float32)
    material = Slices(
        image=np.full_like(cord, 0.5),
        clusters=np.ones_like(cord, np.uint8),
        cord=cord,
        gm=cord * 0,
        lesion=cord * 0,
        has_gm=known,
        has_cord=known,
        has_lesion=~known,
        centre=centre,
        person=np.array(["a", "phantom", "phantom"]),  # the name of a person, too
        kind=np.array(["person", "person", "digital"]),
        loose_masks=~known,
        usual=np.zeros((n, 0, 0), np.float32),
        usual_clusters=np.zeros((n, 0, 0), np.uint8),
        usual_cord=np.zeros((n, 0, 0), np.float32),
        usual_gm=np.zeros((n, 0, 0), np.float32),
        volume=np.arange(n),
        height_mm=np.zeros(n, np.float32),
    )
    image = torch.zeros(SHOWN, 1, size, size)
    batch = Batch(image, torch.zeros(SHOWN, 3, size, size), torch.ones(SHOWN, 3, 1, 1))
    draw_samples(material, [batch], tmp_path / "samples.png")
    picture = np.rint(imread(tmp_path / "samples.png")[..., :3] * 255).astype(int)
    width = PER_ROW * size * ZOOM
    assert picture.shape == (SHOWN // PER_ROW * size * ZOOM, 2 * width + GAP_PX, 3)
    edges = (picture == EDGE).all(axis=-1)
    assert edges[:, :width].any()
    assert not edges[:, width + GAP_PX :].any()
    assert (picture[:, width + GAP_PX :] == 0).all()  # samples without image are black
