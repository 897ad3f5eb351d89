"""A network of smooth functions and without batch norm, so that a batch may be cut at will."""

from torch import Tensor, nn


class Tiny(nn.Module):
    """Convolutions and tanh, which no rounding turns, with every training head there is."""

    auxiliary = ("aux", "boundary")

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.Tanh(),
            nn.Conv2d(6, 6, 3, padding=1), nn.Tanh(),
        )  # fmt: skip
        self.classifier = nn.Conv2d(6, num_classes, 1)
        self.num_classes = num_classes

    def add_training_heads(self) -> None:
        self.aux = nn.Conv2d(6, self.num_classes, 1)
        self.boundary = nn.Conv2d(6, 1, 1)
        nn.init.constant_(self.boundary.bias, 1.0)  # type: ignore[arg-type]  # some are certain

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.trunk(image))
        return out

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        x = self.trunk(image)
        out = {"out": self.classifier(x), "aux": self.aux(x)}
        return {**out, "boundary": 3 * self.boundary(x)}
