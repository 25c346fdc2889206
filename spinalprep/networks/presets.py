"""The configurations that weights are trained for."""

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from spinalprep.networks.hemis import CONTRASTS, Hemis
from spinalprep.networks.isensee_unet3d import IsenseeUNet3d
from spinalprep.networks.published import PUBLISHED
from spinalprep.networks.topology import TOPOLOGIES
from spinalprep.networks.unet2d import UNet2d
from spinalprep.networks.unet3d import UNet3d


def centerline_unet() -> nn.Module:
    """Return the heat map network: axial slices at 1 mm, dilated contracting path.

    The idea of CNN1 of Gros et al. (2019), NeuroImage 184:901-915,
    doi:10.1016/j.neuroimage.2018.09.081, whole slices in place of patches.
    """
    return UNet2d(out_channels=1, filters=12, levels=4, dilation=2)


def disc_unet() -> nn.Module:
    """Return the network of discs and of C2/C3: straightened mid-sagittal planes at 1 mm."""
    return UNet2d(out_channels=2, filters=8, levels=4, dilation=2)


def cord_unet() -> nn.Module:
    """Return the network of cord, gray matter and lesion: windows of 40 mm at 0.5 mm."""
    return UNet2d(out_channels=3, filters=16, levels=4)


def cord_sections_unet() -> nn.Module:
    """Return the same with four inputs: a window, its two neighbors, the median section."""
    return UNet2d(out_channels=3, filters=16, levels=4, in_channels=4)


def gm_unet() -> nn.Module:
    """Return the network of gray matter: windows of 24 mm at 0.25 mm.

    Its horns are two voxels of 0.5 mm wide. The same three maps as `cord_unet`: cord and lesion
    teach it what gray matter is not.
    """
    return UNet2d(out_channels=3, filters=16, levels=4)


def lesion_unet() -> nn.Module:
    """Return the network of lesions: windows of 24 mm at 0.5 mm, and the usual section beside."""
    return UNet2d(out_channels=3, filters=16, levels=4, in_channels=2)


def hemis_unet() -> nn.Module:
    """Return the network of lesions in any subset of contrasts: the inputs of `lesion_unet` each.

    Havaei et al. (2016), MICCAI, see `hemis.Hemis`, with the common end of `lesion_unet`.
    """
    return Hemis(3, len(CONTRASTS), channels=2, features=12, filters=16, levels=4)


def cord_unet3d() -> nn.Module:
    """Return the network of cord, gray matter and lesion in stacks of sections at 0.5 mm.

    CNN2 of Gros et al. (see `published.gros_cord`), narrower, and with all three maps.
    """
    return UNet3d(out_channels=3, filters=12, depth=2, dropout=0.1)


def tumor_cord_unet() -> nn.Module:
    """Return the network that finds the cord around a tumor: T2w at 2 x 2 x 4 mm.

    The first step of Lemay et al. (see `published.lemay_tumor_cord`), one level flatter.
    """
    return IsenseeUNet3d(in_channels=1, out_channels=1, filters=8, depth=3)


def tumor_unet() -> nn.Module:
    """Return the network of tumor, edema and cavity: T2w and Gd-T1w at 1 x 1 x 2 mm.

    The second step of Lemay et al. (see `published.lemay_tumor`), narrower, one level flatter, and
    without dropout: no patch that it learns from comes twice.
    """
    return IsenseeUNet3d(in_channels=2, out_channels=4, filters=12, depth=3, dropout=0.0)


def lumbar_unet() -> nn.Module:
    """Return the network of lumbar structures: T2w and T1w of sagittal slices at 1 mm.

    The best topology of Sáenz-Gamboa et al. (UVD, see `topology.TOPOLOGIES`), narrower.
    """
    return replace(TOPOLOGIES["UVD"], filters=12).network()


PRESETS: dict[str, Callable[[], nn.Module]] = {
    "centerline_unet": centerline_unet,
    "cord_sections_unet": cord_sections_unet,
    "cord_unet": cord_unet,
    "cord_unet3d": cord_unet3d,
    "disc_unet": disc_unet,
    "gm_unet": gm_unet,
    "hemis_unet": hemis_unet,
    "lesion_unet": lesion_unet,
    "lumbar_unet": lumbar_unet,
    "tumor_cord_unet": tumor_cord_unet,
    "tumor_unet": tumor_unet,
    **PUBLISHED,
}
