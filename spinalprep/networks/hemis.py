"""HeMIS: one network for any subset of the contrasts of a person."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinalprep.networks.unet2d import UNet2d, block

CONTRASTS = ("T1w", "acq-axial_T2w", "acq-sagittal_T2w", "T2starw", "MTS")
THICK = 1.5  # times the smallest edge of a voxel, from right to left: sagittal slices


def contrast_of(suffix: str, voxel_sizes: Sequence[float]) -> str:
    """Return which of ``CONTRASTS`` an image has; axial and sagittal T2w differ in their voxels.

    Parameters
    ----------
    suffix : str
        Of the BIDS name.
    voxel_sizes : sequence of float
        In mm, from right to left first; those of the acquisition, before any resampling.

    Examples
    --------
    >>> contrast_of("T2w", (0.5, 0.5, 3.0)), contrast_of("T2w", (3.3, 0.7, 0.7))
    ('acq-axial_T2w', 'acq-sagittal_T2w')
    """
    if suffix != "T2w":
        return suffix
    plane = "sagittal" if voxel_sizes[0] > THICK * min(voxel_sizes) else "axial"
    return f"acq-{plane}_T2w"


class Hemis(nn.Module):
    """Hetero-modal image segmentation: a back end per contrast, moments, a common end.

    Every contrast has first layers of its own (back end). The abstraction layer joins the feature
    maps of those contrasts that are there by their mean and their variance, whichever and however
    many they are; the common end, a U-Net, sees these moments alone.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    contrasts : int
        Back ends.
    channels : int
        Images of every contrast.
    features : int
        Feature maps of a back end.
    filters, levels : int
        Of the common end, see `UNet2d`.

    Notes
    -----
    The variance is that of the paper, over the number of contrasts less one; it is 0 where there is
    one contrast. The common end of the paper is two convolutions; lesions of the cord are told by
    what is around them, so that it is a U-Net here.

    References
    ----------
    .. [1] Havaei et al. (2016), "HeMIS: Hetero-Modal Image Segmentation", MICCAI,
       LNCS 9901:469-477, doi:10.1007/978-3-319-46723-8_54.
    """

    def __init__(
        self,
        out_channels: int,
        contrasts: int,
        channels: int,
        features: int,
        filters: int,
        levels: int,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.back = nn.ModuleList(block(channels, features) for _ in range(contrasts))
        self.common = UNet2d(out_channels, filters, levels, in_channels=2 * features)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, H, W).

        Parameters
        ----------
        image : Tensor, shape (N, contrasts * channels, H, W)
            The channels of the first contrast first; a contrast is missing from a sample where all
            of its channels are zero.
        """
        logits: Tensor = self.common(self.moments(image))
        return logits

    def moments(self, image: Tensor) -> Tensor:
        """Return mean and variance of the features, (N, 2 * features, H, W); see `forward`."""
        parts = torch.split(image, self.channels, dim=1)
        there = torch.stack([part.abs().amax(dim=(1, 2, 3)) > 0 for part in parts])
        seen = torch.stack(
            [
                _features(back, part, own)
                for back, part, own in zip(self.back, parts, there, strict=True)
            ]
        )
        kept = there[:, :, None, None, None].to(seen.dtype)
        count = kept.sum(dim=0)
        mean = (seen * kept).sum(dim=0) / count.clamp(min=1)
        variance = ((seen - mean).square() * kept).sum(dim=0) / (count - 1).clamp(min=1)
        return torch.cat([mean, variance], dim=1)


def _features(back: nn.Module, image: Tensor, there: Tensor) -> Tensor:
    """Return what a back end sees in the samples that have its contrast, 0 in the others."""
    if torch.onnx.is_in_onnx_export():  # whose graph must not depend on what is there
        every: Tensor = back(image)
        return every
    rows = torch.nonzero(there)[:, 0]
    found: Tensor = back(image[rows])
    blank = found.new_zeros((len(image), *found.shape[1:]))
    return blank.index_copy(0, rows, found)
