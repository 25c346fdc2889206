"""Words and numbers that algorithms and settings share; a user may give others for numbers."""

from typing import Literal, get_args

Contrast = Literal["T2w", "T1w", "T2starw", "MTS"]
CONTRASTS: tuple[str, ...] = get_args(Contrast)  # the first that is there is the reference

CordModel = Literal["unet", "ra-unet"]
CORD_WEIGHTS: dict[CordModel, str] = {"unet": "cord", "ra-unet": "ra-unet"}  # packaged, by name

LESION_CONTRASTS: tuple[Contrast, ...] = ("T2w", "T2starw")  # others: false ones in the healthy
EdgeContrast = Literal["T2w", "T1w", "T2starw", "MTS", "none"]
EDGE_CONTRASTS: tuple[EdgeContrast, ...] = ("none",)  # raters draw inside the visible edge
LesionFusion = Literal["auto", "reference", "union", "mean"]
JOINED_BY: dict[LesionFusion, str] = {"auto": "union", "union": "union", "mean": "mean"}
LESION_THRESHOLD = 0.9  # the probability that a lesion reaches
MIN_LESION_MM3 = 3.0  # smaller lesions are dropped
FAULT_KINDS = (
    "equalfluid",
    "wall",
    "faded",
    "cut",
    "blurredends",
    "thick",
    "lesionend",
    "swollen",
    "compressed",
)
FAULT_SEED = 106_000  # of the figures; limits are chosen on 107000 and those that follow
TUMOR_THRESHOLD = 0.5
EDEMA_THRESHOLD = 0.35
MIN_TUMOR_CM3, MIN_EDEMA_CM3, MIN_CAVITY_CM3 = 0.2, 0.5, 0.5  # smaller pieces are dropped
TumorCrop = Literal["cascade", "centerline", "none"]
