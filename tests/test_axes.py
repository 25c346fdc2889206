"""Every public function that takes an image takes its axes in any of the 48 orders.

What comes back on the grid of the input is turned back and compared with what the same function
says of the same voxels in LAS; points, tables and numbers are compared as they are.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from itertools import permutations, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord import ends, mask, trace
from spinalprep.cord.carried import carry_outline
from spinalprep.cord.cauda import cauda_length
from spinalprep.cord.centerline import Centerline, centerline_from_mask, rasterise
from spinalprep.cord.edge import edge_shares
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.straight import StraightSpace
from spinalprep.cord.visible_edge import EdgeShift, move_outline, visible_edge
from spinalprep.errors import InputError
from spinalprep.image import (
    Image,
    back_on,
    grid_points,
    grid_with_spacing,
    load,
    on_grid_of,
    reorient,
    resample,
    resample_like,
    sample,
    save,
    save_inside,
    upright,
)
from spinalprep.image.drawn import read_drawn
from spinalprep.image.sanity import conform_label, conform_loaded_label
from spinalprep.image.volume import to_nifti
from spinalprep.lesion import frame, instances, measures
from spinalprep.lesion.aligned import AlignedLesions, OwnLesions, align_lesions
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.lesion.evidence import Evidence, weigh_lesions
from spinalprep.lesion.fusion import JoinedLesions, join_lesions
from spinalprep.lesion.regions import measure_regions
from spinalprep.lesion.tumors import measure_tumors
from spinalprep.levels import detect, label
from spinalprep.levels.discs import Levels, discs_from_labels
from spinalprep.levels.slices import slice_levels
from spinalprep.metrics import maps, shares
from spinalprep.networks import predict
from spinalprep.networks.cascade import Found, Networks, find_cord
from spinalprep.networks.crf import refine
from spinalprep.networks.sagittal import to_sagittal
from spinalprep.networks.tumor import tube_around
from spinalprep.networks.tumor_maps import Structures
from spinalprep.networks.weights import load_model
from spinalprep.networks.window import axial_at
from spinalprep.phantom.anatomy import GM, LESION, Lesion, Person, make_person, truth_cord
from spinalprep.phantom.generic import average_person
from spinalprep.phantom.images import render
from spinalprep.registration import along, ants_arrays, bias, coverage, resampling, search, turn
from spinalprep.registration.atlas import warp_regions
from spinalprep.registration.coregister import coregister, similarity
from spinalprep.registration.template import register_to_template
from spinalprep.registration.transform import Affine
from spinalprep.template.regions import Region

ORDERS = [
    "".join(letters) for axes in permutations(("LR", "PA", "IS")) for letters in product(*axes)
]
SOME = ["RAS", "SPR", "PIL", "ARI"]  # a mirror, a cycle, a swap with flips, a cycle with a flip
EACH = [pytest.param(axes, marks=[] if axes in SOME else pytest.mark.slow) for axes in ORDERS]
SEED = 100_017
HALVES = np.diag([1.0, 1.0, 0.5, 1.0])
OTHER = np.array([[-2.0, 0, 0, 9], [0, 2, 0, -9], [0, 0, 3, -12], [0, 0, 0, 1]])
ROOMS = ("cord", "image", "lesion", "levels", "metrics", "networks", "registration", "template")


@dataclass(frozen=True)
class Scene:
    """A digital neck; all images on one grid, each with its axes in one order."""

    image: Image
    cord: Image
    mask: Image
    gm: Image
    lesion: Image
    lesions: Image
    levels: Image
    discs: Image
    template_cord: Image
    template_levels: Image
    line: Centerline
    known: Levels
    template_z: dict[int, float]
    move: Affine
    along: along.AlongCord
    folder: Path

    @property
    def near(self) -> np.ndarray:
        """Points in RAS+ mm along the cord and beside it."""
        return self.line.points[::5] + np.array([1.5, -1.0, 0.4])

    def on(self, data: np.ndarray) -> Image:
        """Return values on the grid of the images."""
        return self.image.with_data(data)

    def turned(self, axes: str) -> "Scene":
        images = {
            field.name: reorient(getattr(self, field.name), axes)
            for field in fields(self)
            if field.type is Image
        }
        return replace(self, **images)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Thick oblique slices from C2 to C6 of a synthetic subject with a lesion."""
    person = make_person(SEED)
    s = person.disc_s[5] + 6.0
    person = replace(person, lesions=(Lesion((s, 2.0, -1.2), (9.0, 1.8, 1.6)),))
    image = render(person, "T2w", grid(person), SEED, noise=0.01)
    tissues = person.labels_on(image.shape, image.affine, fine=2)
    cord = image.with_data(truth_cord(person, image))
    whole = image.with_data((cord.data >= 0.5).astype(np.float32))
    lesion = image.with_data(tissues[LESION])
    line = centerline_from_mask(cord)
    discs = person.centerline.at(np.array(list(person.disc_s.values())))
    known = Levels(
        dict(zip(person.disc_s, line.project(discs)[:, 0].tolist(), strict=True)), "manual"
    )
    model, model_levels, heights = small_template()
    shift = Affine.identity().matrix.copy()
    shift[:3, 3] = 1.3, -0.7, 2.1
    return Scene(
        image=image,
        cord=cord,
        mask=whole,
        gm=image.with_data(tissues[GM]),
        lesion=lesion,
        lesions=image.with_data(instances.lesion_instances(lesion, whole, 0.3)),
        levels=image.with_data(label.label_vertebrae(whole, line, known)),
        discs=image.with_data(label.label_discs(whole, line, known)),
        template_cord=model,
        template_levels=model_levels,
        line=line,
        known=known,
        template_z=heights,
        move=Affine(shift),
        along=along.fit_along(
            along.Channel(cord, model), StraightSpace(line), known.disc_s, heights
        ),
        folder=tmp_path_factory.mktemp("axes"),
    )


def grid(person: Person) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return an oblique grid, LAS, around C4."""
    shape, sizes = (46, 52, 16), np.array([1.1, 0.9, 4.0])
    a, b = np.deg2rad([9.0, 4.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([-1.0, 1.0, 1.0]) @ np.diag(sizes)
    middle = person.centerline.at(person.disc_s[5])
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def small_template() -> tuple[Image, Image, dict[int, float]]:
    """Return cord, levels and heights of the discs of a straight person, coarse."""
    person = average_person()
    affine = np.diag([-0.8, 0.8, 2.0, 1.0])
    affine[:3, 3] = 16.0, -16.0, -130.0
    blank = Image(np.zeros((41, 41, 70), np.float32), affine)
    cord = blank.with_data(truth_cord(person, blank))
    heights = {n: float(person.centerline.at(s)[2]) for n, s in person.disc_s.items()}
    found = Levels(dict(person.disc_s), "manual")
    return cord, cord.with_data(label.label_vertebrae(cord, person.centerline, found)), heights


def test_the_cases_cover_every_function_that_takes_an_image() -> None:
    assert {*CHEAP, *COSTLY, *STEPS} == set(functions_of_images())


def functions_of_images() -> Iterator[str]:
    """Yield the public functions and methods of the rooms with an image among their arguments."""
    for room in ROOMS:
        for found in pkgutil.iter_modules(import_module(f"spinalprep.{room}").__path__):
            module = import_module(f"spinalprep.{room}.{found.name}")
            for name, member in public(module, module.__name__):
                if inspect.isclass(member):
                    parts = ((f"{name}.{n}", m) for n, m in public(member, module.__name__))
                else:
                    parts = iter([(name, member)])
                for whole, part in parts:
                    if inspect.isfunction(part) and takes_image(part):
                        yield f"{room}.{found.name}.{whole}"


def public(owner: Any, module: str) -> Iterator[tuple[str, Any]]:
    for name, found in vars(owner).items():
        member = getattr(found, "__func__", found)
        if not name.startswith("_") and getattr(member, "__module__", None) == module:
            yield name, member


def takes_image(function: Any) -> bool:
    hints = inspect.get_annotations(function)
    taken = " ".join(str(hint) for name, hint in hints.items() if name != "return")
    return re.search("Image|Moving|Channel", taken) is not None


def models(*names: str) -> list[Any]:
    return [load_model(name) for name in names]


def found_cord(s: Scene) -> list[object]:
    centerline, cord, lesion = models("centerline", "cord", "lesion")
    networks = Networks(centerline=centerline, cord=cord, lesion=lesion)
    found: Found[Image, Centerline] = find_cord(s.image, networks, views=1)
    assert found.cord.data.any()
    return list(vars(found).values())


def prediction(s: Scene) -> list[object]:
    found = predict.segment(s.image, s.line, *models("cord"), views=2)
    return [s.on(v) for v in vars(found).values() if isinstance(v, np.ndarray)]


def windows_shown(s: Scene) -> object:
    seen = upright(s.image)
    heights = np.arange(5.0, 20.0, 3.0)
    points = StraightSpace(s.line).sections(heights, 20.0, 0.5)
    valid = predict.inside(seen, points)
    return predict.shown_windows(seen, points, heights, valid, *models("lesion"))


def looked_along(s: Scene) -> list[object]:
    """Show windows of the image itself in place of what a network would say of them."""
    brightest = float(s.image.data.max())

    def look(points: np.ndarray, heights: np.ndarray) -> list[np.ndarray]:
        shown = (sample(s.image, points) / brightest).astype(np.float32)
        return [shown, shown / 2, shown / 3, shown / 4]

    found = predict.look_along(s.image, s.line, *models("cord"), look)
    return [s.on(v) for v in vars(found).values() if isinstance(v, np.ndarray)]


def cord_segmented(s: Scene) -> list[object]:
    found = predict.segment_cord(s.image, s.line, *models("cord"), views=2, at_edge=True)
    assert found.moved is not None
    return [s.on(v) for v in vars(found).values() if isinstance(v, np.ndarray)] + [found.moved]


def edge_seen(s: Scene) -> object:
    return visible_edge(s.image, s.cord)


def outline_moved(s: Scene) -> object:
    shift = EdgeShift(np.linspace(-0.3, 0.3, upright(s.cord).shape[2]), np.arange(2), 1.0)
    return [s.on(values) for values in move_outline(s.cord, [s.cord], shift)]


def carried(s: Scene) -> list[object]:
    found = carry_outline(s.image, s.cord.data, s.line)
    return [s.on(found.cord(s.cord.data)), s.on(found.spread(s.cord.data)), found.radius]


def discs_found(s: Scene) -> list[object]:
    fine = resample(s.image, *grid_with_spacing(upright(s.image), (2.0, 2.0, 2.0)))
    return list(detect.find_discs(reorient(fine, s.image.axes), s.line, *models("discs")))


def registered(s: Scene) -> list[object]:
    grey = s.template_cord.with_data(s.template_cord.data * np.float32(0.2))
    gm = along.Channel(s.gm, grey)
    discs = s.known.disc_s, s.template_z
    fit = register_to_template(s.cord, s.line, discs[0], s.template_cord, discs[1], gm)
    there = fit.inverse.apply(s.near)
    return [there, fit.forward.apply(there), fit.dice_subject, fit.dice_template, fit.span_z_mm]


def along_cord(s: Scene) -> along.AlongCord:
    cord = along.Channel(s.cord, s.template_cord)
    return along.fit_along(cord, StraightSpace(s.line), s.known.disc_s, s.template_z)


def rewritten(s: Scene, image: Image) -> Image:
    path = s.folder / f"{image.axes}.nii.gz"
    return load(save(image, path))


def saved_inside(s: Scene) -> Image:
    inside = s.mask.with_data(s.mask.data > 0)
    path = save_inside(s.image.data[inside.data][:, None], inside, s.folder / f"{s.image.axes}.nii")
    return load(path)


def label_of_file(s: Scene) -> list[Image]:
    label = reorient(s.levels, "RSA")
    path = save(label, s.folder / "label.nii.gz")
    loaded = to_nifti(label.data, label.affine)
    return [conform_label(path, s.image), conform_loaded_label(loaded, "label", s.image)]


def drawn_label(s: Scene) -> Image:
    path = save(reorient(s.on(s.mask.data > 0), "RSA"), s.folder / "drawn.nii.gz", np.uint8)
    return read_drawn(path, s.image, "cord")


def denoised(s: Scene) -> Image:
    small = resample(s.image, (12, 12, 12), OTHER)  # it takes long
    return bias.denoise(reorient(small, s.image.axes))


HURRY = {  # a coarser search
    "SHIFTS_MM": ((-4.5, 0.0, 4.5), (0.0,), (0.0,)),
    "TURNS_DEG": ((0.0,), (0.0,), (0.0,)),
    "KEPT": 1,
    "NEAR": search.NEAR[:1],
}


@patch.multiple(search, **HURRY)
def coregistered(s: Scene) -> list[object]:
    fine = upright(s.image)
    coarse = resample(fine, *grid_with_spacing(fine, 2 * fine.voxel_sizes))  # it takes long
    still = reorient(coarse, s.image.axes)
    moving = Image(np.sqrt(np.maximum(still.data, 0)), s.move.matrix @ still.affine)
    fit = coregister(moving, still, s.mask, sloppy=True)
    return [fit.forward.apply(s.near), fit.before, fit.after, fit.accepted]


@patch.multiple(search, **HURRY)
def searched(s: Scene) -> list[object]:
    moving = Image(s.image.data, s.move.matrix @ s.image.affine)
    around = s.mask.data > 0
    found = search.search_rigid(moving, s.image, around)
    near = search.search_near(moving, s.image, around, found)
    return [found.apply(s.near), near.apply(s.near)]


def covered(s: Scene) -> list[object]:
    grid = s.template_cord.shape, s.template_cord.affine
    there = Affine(np.diag([1.0, 1, 1, 1]))
    there.matrix[:3, 3] = s.line.at(s.line.length / 2) - [0.0, 0.0, -60.0]
    return list(coverage.bring_to_template(s.image, s.mask, there, grid))


def on_template(s: Scene) -> pd.DataFrame:
    there = Affine.identity()
    there.matrix[:3, 3] = s.line.at(s.line.length / 2) - [0.0, 0.0, -60.0]
    table = measure_slices(s.cord, s.line)
    shape = coverage.shape_on_template(table, s.line, there, s.template_cord, s.template_levels)
    assert len(shape) > 5
    return shape


def polar(s: Scene) -> list[object]:
    centres = np.column_stack([s.line.arc[5:20:5], np.zeros((3, 2))])
    sections = turn.polar_sections(s.cord, StraightSpace(s.line), centres, np.ones(3))
    return [sections, turn.polar_slices(s.cord, s.line.points[5:20:5])]


def moved(s: Scene) -> Image:
    grid = s.image.shape, s.image.affine
    return resampling.resample_through(s.image, s.move, grid)


def together(s: Scene) -> list[Image]:
    both = [resampling.Moving(s.image), resampling.Moving(s.mask, 1, 0.5)]
    return resampling.resample_together(both, s.move, (s.image.shape, s.image.affine))


def by_voxel(s: Scene, values: np.ndarray) -> Image:
    """Return values of the mask's voxels, in C order, as an image."""
    whole = np.zeros((*s.mask.shape, *values.shape[1:]), values.dtype)
    whole[s.mask.data > 0] = values
    return s.on(whole if whole.ndim == 3 else whole @ np.arange(1.0, values.shape[1] + 1))


def warped(s: Scene) -> Image:
    regions = [s.template_cord.with_data(s.template_cord.data * np.float32(w)) for w in (0.3, 0.7)]
    there = Affine.identity()
    there.matrix[:3, 3] = [0.0, 0.0, -60.0] - s.line.at(s.line.length / 2)
    return by_voxel(s, warp_regions(regions, there, s.mask))


def sections(s: Scene) -> list[object]:
    found = frame.cord_frame(s.mask, s.line)
    cut, u, v = frame.cut_sections([s.mask, s.lesion], found, np.array([10.0, 20.0, 30.0]))
    return [*cut, u, v]


def regions_of(s: Scene) -> pd.DataFrame:
    inside = s.mask.data > 0
    share = np.stack([s.gm.data[inside], 1 - s.gm.data[inside]], axis=-1)
    names = [Region("tissue", name, "both", (n,)) for n, name in enumerate(("grey", "white"))]
    return measure_regions(s.lesions, s.mask, s.levels, share, names)


def called(s: Scene) -> list[object]:
    rule = LesionRule(threshold=0.3, least_z=0.0, least_cnr=0.0, least_contrast=0.0)
    found = call_lesions(s.lesion, s.image, s.mask, s.line, rule)
    assert found.labels.any() or found.refused.any()
    return [s.on(found.labels), found.evidence, s.on(found.refused)]


def aligned(s: Scene) -> AlignedLesions:
    """Bring a lesion to a grid whose voxels are others, and moved."""
    rule = LesionRule(threshold=0.3, least_z=0.0, least_cnr=0.0, least_contrast=0.0)
    found = OwnLesions(s.lesion, s.mask, call_lesions(s.lesion, s.image, s.mask, s.line, rule))
    cord = upright(s.mask)
    cord = resample(s.mask, (*cord.shape[:2], 2 * cord.shape[2]), cord.affine @ HALVES)
    brought = align_lesions("other", found, s.move, cord)
    assert brought.labels.any()
    return brought


def joined(s: Scene) -> JoinedLesions:
    found = upright(s.on(s.lesions.data)).data.astype(np.int32)
    soft, shown = upright(s.lesion).data, np.ones(found.shape, bool)
    own = AlignedLesions("own", soft, shown, found, (Evidence(0.5, 5.0, 3.0, 9),) * 9)
    return join_lesions([own, own], s.mask, LesionRule(0.3, least_z=0.0), "mean")


def drawn_with_a_hole(s: Scene) -> list[object]:
    holes = (s.gm.data > 0.9) & (s.mask.data > 0)
    filled, told = mask.fill_drawn(s.on(np.where(holes, np.float32(0), s.mask.data)))
    assert told
    return [filled, told]


def mask_of_a_drawn_cord(s: Scene) -> list[object]:
    return [s.on(mask.mask_of_drawn(s.mask))]


def tumors_measured(s: Scene) -> pd.DataFrame:
    """Measure a tumor where the lesion is, and a cavity in the gray matter."""
    tumor, cavity = s.lesion.data > 0.3, s.gm.data > 0.5
    nothing = np.zeros_like(tumor)
    drawn = Structures(tumor, nothing, cavity, tumor | cavity)
    table = measure_tumors(drawn, s.mask, s.line, s.known, s.image)
    return table.fillna({"upper_level": "", "lower_level": ""})


CHEAP: dict[str, Callable[[Scene], object]] = {
    "image.orient.reorient": lambda s: reorient(s.image),
    "image.orient.upright": lambda s: upright(s.image),
    "image.orient.back_on": lambda s: s.on(back_on(upright(s.image).data, s.image)),
    "image.orient.on_grid_of": lambda s: on_grid_of(s.image, reorient(s.mask, "RSP"), "a mask"),
    "image.resample.sample": lambda s: sample(s.image, s.near),
    "image.resample.resample": lambda s: resample(s.image, (9, 9, 9), OTHER),
    "image.resample.resample_like": lambda s: resample_like(s.template_cord, s.image),
    "image.resample.grid_with_spacing": lambda s: sorted(
        grid_with_spacing(s.image, s.image.voxel_sizes * 2)[0]
    ),
    "image.drawn.read_drawn": drawn_label,
    "image.sanity.conform_label": label_of_file,
    "image.sanity.conform_loaded_label": label_of_file,
    "image.volume.Image.same_grid": lambda s: s.image.same_grid(s.mask),
    "image.volume.save": lambda s: rewritten(s, s.image),
    "image.volume.save_inside": saved_inside,
    "cord.centerline.centerline_from_mask": lambda s: centerline_from_mask(s.cord),
    "cord.centerline.rasterise": lambda s: s.on(rasterise(s.line, s.image)),
    "cord.carried.carry_outline": carried,
    "cord.cauda.cauda_length": lambda s: cauda_length(s.image, s.cord, s.line),
    "cord.edge.edge_shares": lambda s: edge_shares(s.image, s.cord),
    "cord.visible_edge.visible_edge": edge_seen,
    "cord.visible_edge.move_outline": outline_moved,
    "cord.ends.trim_ends": lambda s: list(
        vars(ends.trim_ends(s.cord, s.gm, s.lesion, faded(s), s.line)).values()
    ),
    "cord.ends.outline_blur": lambda s: ends.outline_blur(s.cord),
    "cord.ends.cord_extent": lambda s: ends.cord_extent(faded(s)),
    "cord.ends.interpolated_slices": lambda s: ends.interpolated_slices(s.cord, faded(s)),
    "cord.ends.unseen_slices": lambda s: ends.unseen_slices(faded(s), s.line),
    "cord.ends.clip_centerline": lambda s: ends.clip_centerline(s.line, s.image, 4, 9),
    "cord.mask.binarise": lambda s: s.on(mask.binarise(s.cord, s.line)),
    "cord.mask.fill_drawn": drawn_with_a_hole,
    "cord.mask.mask_of_drawn": mask_of_a_drawn_cord,
    "cord.shape.measure_slices": lambda s: measure_slices(s.cord, s.line, s.gm, s.gm),
    "cord.straight.StraightSpace.straighten": lambda s: StraightSpace(s.line).straighten(
        s.image, 8.0, 1.0
    ),
    "cord.trace.find_centerline": lambda s: list(trace.find_centerline(s.cord)),
    "cord.trace.trace_centerline": lambda s: list(vars(trace.trace_centerline(s.cord)).values()),
    "levels.detect.sagittal_plane": lambda s: list(
        vars(detect.sagittal_plane(s.image, s.line)).values()
    ),
    "levels.detect.voxel_along": lambda s: detect.voxel_along(s.image, s.line),
    "levels.discs.discs_from_labels": lambda s: discs_from_labels(s.discs, s.line).disc_s,
    "levels.slices.slice_levels": lambda s: slice_levels(s.levels, range(16)),
    "levels.label.label_vertebrae": lambda s: s.on(label.label_vertebrae(s.mask, s.line, s.known)),
    "levels.label.label_discs": lambda s: s.on(label.label_discs(s.mask, s.line, s.known)),
    "lesion.aligned.align_lesions": aligned,
    "lesion.calling.call_lesions": called,
    "lesion.evidence.weigh_lesions": lambda s: weigh_lesions(s.lesions, s.image, s.mask, s.line),
    "lesion.frame.cord_frame": lambda s: list(vars(frame.cord_frame(s.mask, s.line)).values())[1:],
    "lesion.frame.cut_sections": sections,
    "lesion.fusion.join_lesions": joined,
    "lesion.instances.cord_reach": lambda s: s.on(instances.cord_reach(s.mask)),
    "lesion.instances.lesion_instances": lambda s: s.on(
        instances.lesion_instances(s.lesion, s.mask, 0.3, min_length_mm=4.0)
    ),
    "lesion.instances.lesion_volumes": lambda s: instances.lesion_volumes(s.lesions),
    "lesion.instances.share_outside": lambda s: instances.share_outside(s.cord, s.gm, 0.2),
    "lesion.measures.measure_lesions": lambda s: measures.measure_lesions(
        s.lesions, s.mask, s.line, s.levels, 3.0
    ),
    "lesion.measures.sum_lesions": lambda s: measures.sum_lesions(
        measures.measure_lesions(s.lesions, s.mask, s.line), s.lesions, s.mask
    ),
    "lesion.regions.measure_regions": regions_of,
    "metrics.maps.cord_points": lambda s: np.sort(maps.cord_points(s.mask), axis=0),
    "metrics.maps.sample_map": lambda s: maps.sample_map(s.image, s.near),
    "metrics.maps.sample_through": lambda s: by_voxel(
        s, maps.sample_through(s.image, s.move, s.mask)
    ),
    "metrics.shares.tissue_shares": lambda s: by_voxel(
        s, shares.tissue_shares(s.mask, s.gm).fraction
    ),
    "lesion.tumors.measure_tumors": tumors_measured,
    "networks.crf.refine": lambda s: s.on(refine(s.cord, s.image)),
    "networks.predict.inside": lambda s: predict.inside(s.image, s.near),
    "networks.predict.shown_windows": windows_shown,
    "networks.predict.look_along": looked_along,
    "networks.sagittal.to_sagittal": lambda s: to_sagittal(s.image),
    "networks.tumor.tube_around": lambda s: tube_around(s.line, s.image),
    "networks.window.axial_at": lambda s: axial_at(s.image, 1.0),
    "registration.along.covered_span": lambda s: along.covered_span(s.along, s.template_cord),
    "registration.along.straight_template": lambda s: along.straight_template(s.template_cord),
    "registration.ants_arrays.to_ants": lambda s: ants_arrays.from_ants(
        ants_arrays.to_ants(s.image)
    ),
    "registration.atlas.warp_regions": warped,
    "registration.bias.neck_mask": lambda s: bias.neck_mask(s.image),
    "registration.coregister.similarity": lambda s: similarity(
        s.image, s.image, s.mask.data > 0, s.move
    ),
    "registration.coverage.bring_to_template": covered,
    "registration.coverage.shape_on_template": on_template,
    "registration.resampling.resample_through": moved,
    "registration.resampling.resample_together": together,
    "registration.resampling.values_at": lambda s: resampling.values_at(s.image, s.line.points),
    "registration.resampling.inside": lambda s: resampling.inside(
        s.move, s.image, (s.image.shape, s.image.affine)
    ),
    "registration.turn.polar_sections": polar,
    "registration.turn.polar_slices": polar,
}
COSTLY: dict[str, Callable[[Scene], object]] = {
    "levels.detect.find_discs": discs_found,
    "networks.cascade.find_cord": found_cord,
    "networks.predict.find_heat": lambda s: predict.find_heat(s.image, *models("centerline")),
    "networks.predict.segment": prediction,
    "networks.predict.segment_cord": cord_segmented,
    "networks.predict.grey_matter": lambda s: s.on(
        predict.grey_matter(s.image, s.line, s.cord.data, *models("gm"), views=1)
    ),
    "networks.predict.lesions": lambda s: s.on(
        predict.lesions(s.image, s.line, *models("lesion"), views=1)
    ),
    "registration.along.fit_along": along_cord,
    "registration.bias.correct_bias": lambda s: list(bias.correct_bias(s.image, sloppy=True)),
    "registration.bias.denoise": denoised,
    "registration.coregister.coregister": coregistered,
    "registration.search.search_rigid": searched,
    "registration.search.search_near": searched,
    "registration.template.register_to_template": registered,
}
STEPS = {  # each hands the image to the functions above, and to nothing else
    "lesion.elsewhere.lesions_elsewhere",
    "lesion.elsewhere.segment_elsewhere",
    "levels.elsewhere.detect_elsewhere",
    "networks.cascade.as_maps",
    "networks.lumbar.map_structures",
    "networks.postprocess.post_process",
    "networks.together.segment_together",
    *(f"networks.tumor.{step}" for step in ("find_tube", "cascade_tube", "map_tumors")),
    *(
        f"networks.cascade.Here.{step}"
        for step in ("find_heat", "find_centerline", "segment_cord", "segment_gm")
    ),
    *(
        f"networks.cascade.Here.{step}"
        for step in ("segment_lesion", "trim_ends", "binarise", "centre")
    ),
}


def faded(s: Scene) -> Image:
    """Return a cord that fades in its two lowest slices."""
    height = grid_points(s.image.shape, s.image.affine)[..., 2]
    low = height < height.min() + 0.25 * np.ptp(height)
    return s.on(np.where(low, s.cord.data * np.float32(0.4), s.cord.data))


_as_is: dict[str, object] = {}
CLOSE = 2e-4  # of the largest value
SEARCHES = {"registration.coregister.coregister": 3e-3}  # a turned affine differs in its last bits


def check_order(name: str, case: Callable[[Scene], object], scene: Scene, axes: str) -> None:
    if name not in _as_is:
        _as_is[name] = case(scene)
    apart = SEARCHES.get(name, CLOSE)
    check_equal(case(scene.turned(axes)), _as_is[name], f"{name} in {axes}", apart)


def check_equal(here: object, there: object, what: str, apart: float = CLOSE) -> None:
    """Compare what two voxel orders gave."""
    numbers, others = parts(here), parts(there)
    assert len(numbers) == len(others), what
    for a, b in zip(numbers, others, strict=True):
        if np.asarray(a).dtype.kind == "f":
            scale = float(np.nanmax(np.abs(b), initial=1e-3))
            np.testing.assert_allclose(a / scale, b / scale, atol=apart, err_msg=what)
        else:
            np.testing.assert_array_equal(a, b, err_msg=what)


def parts(result: Any) -> list[Any]:
    """Return the numbers and words of a result, images turned to LAS."""
    if isinstance(result, Image):
        turned = reorient(result)
        return [turned.affine, turned.data]
    if isinstance(result, pd.DataFrame):
        return [list(result), *(result[name].to_numpy() for name in result)]
    if isinstance(result, dict):
        return [list(result), *parts(list(result.values()))]
    if isinstance(result, (list, tuple)):
        return [part for each in result for part in parts(each)]
    if is_dataclass(result):
        return parts([getattr(result, field.name) for field in fields(result)])
    return [result]


@pytest.mark.parametrize("axes", EACH)
def test_any_order_of_the_axes_gives_the_same(scene: Scene, axes: str) -> None:
    for name, case in CHEAP.items():
        check_order(name, case, scene, axes)


@pytest.mark.slow
@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("name", list(COSTLY))
def test_so_do_networks_and_registrations(scene: Scene, name: str, axes: str) -> None:
    check_order(name, COSTLY[name], scene, axes)


def test_a_cord_is_found_in_spr_too(scene: Scene) -> None:
    check_order("networks.cascade.find_cord", found_cord, scene, "SPR")


@pytest.mark.parametrize("axes", SOME)
def test_companions_may_lie_in_another_order(scene: Scene, axes: str) -> None:
    turned = {
        name: reorient(getattr(scene, name), axes)
        for name in ("mask", "gm", "levels", "lesions", "template_levels")
    }
    mixed = replace(scene, **turned)
    for name in (
        "cord.shape.measure_slices",
        "cord.ends.trim_ends",
        "lesion.instances.lesion_instances",
        "lesion.measures.measure_lesions",
        "lesion.measures.sum_lesions",
        "registration.coverage.shape_on_template",
    ):
        check_equal(CHEAP[name](mixed), CHEAP[name](scene), f"{name} in LAS and {axes}")


def test_images_of_other_voxels_are_refused(scene: Scene) -> None:
    other = Image(scene.mask.data[1:], scene.mask.affine)
    aside = Image(scene.mask.data, scene.move.matrix @ scene.mask.affine)
    for wrong in (other, aside):
        with pytest.raises(
            InputError, match=r"the gray matter has .* expected 46 x 52 x 16 voxels"
        ):
            measure_slices(scene.cord, scene.line, wrong)
        with pytest.raises(InputError, match="the cord has"):
            instances.lesion_instances(scene.lesion, wrong)
        with pytest.raises(InputError, match="the cord has"):
            measures.measure_lesions(scene.lesions, wrong, scene.line)
        with pytest.raises(InputError, match="the mask of the body has"):
            bias.correct_bias(scene.image, wrong)


def test_a_tilted_template_is_refused(scene: Scene) -> None:
    tilted = Image(scene.template_cord.data, scene.image.affine)
    with pytest.raises(InputError, match="the template is tilted"):
        register_to_template(scene.cord, scene.line, {}, tilted, scene.template_z)
