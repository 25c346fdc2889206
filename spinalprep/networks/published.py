"""Networks as published, to be trained by a recipe beside ours."""

from collections.abc import Callable

from torch import nn

from spinalprep.networks.dilated_unet2d import DilatedUNet2d
from spinalprep.networks.isensee_unet3d import IsenseeUNet3d
from spinalprep.networks.ra_unet2d import RAUNet2d
from spinalprep.networks.topology import TOPOLOGIES
from spinalprep.networks.unet3d import UNet3d


def gros_centerline() -> nn.Module:
    """Return CNN1 of Gros et al.: axial patches of 96 x 96 at 0.5 mm to the cord.

    Two halvings of the resolution, dilation 3 in the contracting path, batch norm and dropout of
    0.2 after every convolution; Dice loss, Adam at 1e-4, batches of 32. The number of filters is
    not published; 32 here.

    References
    ----------
    .. [1] Gros et al. (2019), "Automatic segmentation of the spinal cord and intramedullary
       multiple sclerosis lesions with convolutional neural networks", NeuroImage 184:901-915,
       doi:10.1016/j.neuroimage.2018.09.081.
    """
    return DilatedUNet2d(out_channels=1, filters=32, levels=3, dilation=3, dropout=0.2)


def gros_cord() -> nn.Module:
    """Return CNN2 of Gros et al. (see `gros_centerline`): patches of 64 x 64 x 48 at 0.5 mm.

    3D U-Net of depth 2, dropout of 0.4; Dice loss, Adam at 5e-5, batches of 4. The number of
    filters is not published; 16 here.
    """
    return UNet3d(out_channels=1, filters=16, depth=2, dropout=0.4)


def gros_lesion() -> nn.Module:
    """Return the network of lesions of Gros et al.: `gros_cord` on patches of 48 x 48 x 48."""
    return gros_cord()


def lemay_tumor_cord() -> nn.Module:
    """Return step 1 of Lemay et al.: T2w volumes of 512 x 256 x 32 at 1 x 1 x 2 mm to a tube.

    Depth 4, 8 filters; Dice loss, Adam at 1e-3, one volume a batch.

    References
    ----------
    .. [1] Lemay et al. (2021), "Automatic multiclass intramedullary spinal cord tumor segmentation
       on MRI with deep learning", NeuroImage: Clinical 31:102766, doi:10.1016/j.nicl.2021.102766.
    """
    return IsenseeUNet3d(in_channels=1, out_channels=1, filters=8, depth=4)


def lemay_tumor() -> nn.Module:
    """Return step 2 of Lemay et al. (see `lemay_tumor_cord`): patches of 128 x 128 x 32.

    Gd-T1w and T2w to tumor, edema, cavity and the whole of them; depth 4, 16 filters; Dice loss of
    each class, batches of 8.
    """
    return IsenseeUNet3d(in_channels=2, out_channels=4, filters=16, depth=4)


def ra_unet() -> nn.Module:
    """Return the RA-U-Net in the size that ships: windows as for the default network of the cord.

    Eight filters and four levels; weights ship for it, as another network of the cord.
    """
    return RAUNet2d(out_channels=3, filters=8, levels=4)


PUBLISHED: dict[str, Callable[[], nn.Module]] = {
    "gros_centerline": gros_centerline,
    "gros_cord": gros_cord,
    "gros_lesion": gros_lesion,
    "lemay_tumor": lemay_tumor,
    "lemay_tumor_cord": lemay_tumor_cord,
    "ra_unet": ra_unet,
    **{f"lumbar_{name.lower()}": of.network for name, of in TOPOLOGIES.items()},
}
