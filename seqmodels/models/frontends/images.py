"""Front ends of images and of the frames of a video."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends.frontend import Frontend


class SmallCNN(Frontend):
    """A few convolutions of 3 x 3, each with group normalisation, ReLU and pooling by 2, for small images.

    Group normalisation (Wu and He 2018) looks at one image alone, so that padded frames change nothing. What is left of
    the image after the convolutions is averaged down to a grid of places, so that images of any size fit and it is
    still known what stands where.

    Args:
        image_channels: Channels of an image: 1 is grey, 3 is colour.
        channels: Channels after each convolution.
        grid: Places that are told apart along each side, or along the height and along the width.
        size: Features of the vector that is made of an image.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> SmallCNN(image_channels=1)(torch.randn(2, 5, 1, 16, 16)).shape
        torch.Size([2, 5, 64])
    """

    def __init__(
        self,
        image_channels: int,
        channels: Sequence[int] = (16, 32),
        grid: int | tuple[int, int] | list[int] = 4,
        size: int = 64,
    ):
        super().__init__()
        check_sizes(image_channels=image_channels, grid=grid, size=size)
        sides = (grid, grid) if isinstance(grid, int) else tuple(grid)
        if len(sides) != 2:
            raise ValueError(f"grid={grid}: expected a number, or [height,width]")
        check_sizes(channels=channels)
        layers: list[nn.Module] = []
        for before, after in zip([image_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(math.gcd(after, 8), after), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
        self.features = size
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(sides), nn.Flatten())
        self.map = nn.Linear([image_channels, *channels][-1] * math.prod(sides), size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turns images `(..., image_channels, height, width)` into `(..., size)`."""
        features = self.map(self.layers(inputs.flatten(0, -4) if inputs.ndim > 4 else inputs))
        return features.unflatten(0, inputs.shape[:-3]) if inputs.ndim > 4 else features


class TorchVision(Frontend):
    """One of torchvision's networks without its last layer; needs the optional extra `vision`.

    Its weights start anew: nothing is downloaded.

    Args:
        image_channels: Channels of an image; a grey one is given three times.
        name: The network, as `torchvision.models` calls it.
        size: Features of the vector that is made of an image.

    Raises:
        ValueError: The name is unknown, the images have another number of channels, or torchvision is not installed.
    """

    def __init__(self, image_channels: int, name: str = "resnet18", size: int = 64):
        super().__init__()
        check_sizes(image_channels=image_channels, size=size)
        if image_channels not in (1, 3):
            raise ValueError(f"image_channels={image_channels}: torchvision's networks take 1 (grey) or 3 (colour)")
        try:
            from torchvision import models
        except (ImportError, RuntimeError) as error:  # the latter where it was built for another torch
            reason = " ".join(str(error).split())
            raise ValueError(f"name={name}: needs torchvision: pip install 'seqmodels[vision]' ({reason})") from error
        if name not in models.list_models(module=models):
            raise ValueError(f"name={name}: no such network of torchvision.models; there are resnet18, resnet34, ...")
        self.features = size
        self.network = models.get_model(name, weights=None, num_classes=size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turns images `(..., image_channels, height, width)` into `(..., size)`."""
        images = inputs.reshape(-1, *inputs.shape[-3:])
        features: Tensor = self.network(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images)
        return torch.unflatten(features, 0, inputs.shape[:-3])
