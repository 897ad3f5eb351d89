"""What a network has that its paper trains with heads which inference leaves out."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class TrainingHeads(Protocol):
    """A network whose training may have losses on more than its logits.

    Attributes:
        auxiliary: names of the modules that training alone uses; the constructor leaves them out.
    """

    auxiliary: tuple[str, ...]

    def add_training_heads(self) -> None:
        """Make these modules, with their paper's initialisation."""
        ...

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """Maps of one pass over images (N, 3, H, W), at their size, by name.

        `out`: what `forward` gives, (N, K, H, W); `aux`: the auxiliary head's logits, (N, K, H,
        W); `boundary`: logits that a pixel is on a boundary of the labels, (N, 1, H, W).
        """
        ...
