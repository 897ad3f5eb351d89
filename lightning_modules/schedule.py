"""The learning rate of each step, a pure function of it."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A linear warm-up, then a decay from `lr` to 0, or none.

    Attributes:
        kind: poly, cosine or constant.
        power: of poly.
        warmup: steps before the first of full rate.
    """

    kind: str
    lr: float
    steps: int
    power: float = 0.9
    warmup: int = 0

    def at(self, step: int) -> float:
        """Of step 0 to `steps`; that of `steps`, which no step uses, is 0 but for constant.

        Warm-up: lr (step + 1) / (warmup + 1). Then with t = (step - warmup) / (steps - warmup):
        poly lr (1 - t)^power (DeepLab, arXiv 1606.00915, section 4), cosine
        lr (1 + cos(pi t)) / 2 (Loshchilov and Hutter, arXiv 1608.03983, Eq. 5).
        """
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        t = (step - self.warmup) / (self.steps - self.warmup)
        if self.kind == "poly":
            decay: float = (1 - t) ** self.power
        elif self.kind == "cosine":
            decay = (1 + math.cos(math.pi * t)) / 2
        else:
            decay = 1.0
        return self.lr * decay
