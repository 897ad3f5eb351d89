"""What a comparison supports, as plain data that `analysis.evidence` fills and others show.

All scores, differences and margins are fractions. Where an interval cannot be given, its bounds
are None and its `reason` says why; what was never counted is None.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from experiments.analysis.convergence import Convergence
from experiments.analysis.intervals import Interval, Target, Verdict
from experiments.analysis.pareto import FrontPlace
from experiments.analysis.variance import Spread

Cost = Literal["gmacs", "params_m", "latency_ms", "train_s", "memory_gb"]
BAND = 3  # pixels from a true boundary that tables and pairs look at
COSTS: tuple[Cost, ...] = ("gmacs", "params_m", "latency_ms", "train_s", "memory_gb")


@dataclass(frozen=True)
class BandEvidence:
    """mIoU near true boundaries and away from them, an entry a width; None where nothing lies."""

    pixels: tuple[int, ...]
    within: tuple[Interval | None, ...]
    """Of the pixels at most so far from a true boundary."""
    beyond: tuple[Interval | None, ...]
    """Of all others."""


@dataclass(frozen=True)
class ModelEvidence:
    """A model over its finished seeds; `model` is the label of its results, as of table rows."""

    model: str
    seeds: tuple[int, ...]
    miou: Interval
    iou: dict[str, Interval | None]
    """By class; None for a class that no labelled pixel shows."""
    bands: BandEvidence | None
    """None where a seed was scored before boundaries were counted."""
    mdd: float | None
    """How far from a fixed mIoU, as a published one, the truth must be to be noticed 4 times in 5;
    None without an interval."""
    fronts: dict[Cost, FrontPlace]
    """Whether no other model is cheaper and as good, for each cost that all ranked models have;
    empty for a model that is not ranked."""
    indistinguishable: bool
    """Cannot be told apart from the best one, or is equivalent to it; False for the best itself,
    and for one that is better than it on the seeds that both have."""
    did_not_train: str | None
    """Why the model is not ranked; None for one that is."""


@dataclass(frozen=True)
class PairEvidence:
    """The difference a - b of two ranked models, of which a has the higher mIoU (mean over its
    seeds); paired by image, and by the seeds that both have."""

    a: str
    b: str
    seeds: tuple[int, ...]
    """Those that both have; with none, there are differences but no intervals."""
    difference: Interval
    p: float | None
    """Two-sided, of no difference."""
    p_holm: float | None
    """The same, corrected over all pairs."""
    p_equivalent: float | None
    """Of a difference of the margin or more."""
    mdd: float | None
    """The true difference that is found 4 times in 5."""
    verdict: Verdict
    within: Interval | None
    """a - b of the pixels within `Evidence.band` of a true boundary; None where not counted."""
    beyond: Interval | None
    boundary_gain: Interval | None
    """within - beyond: above 0 where a is better at boundaries than its interior predicts."""
    p_equivalent_holm: float | None = None
    """`p_equivalent` corrected over all pairs; below .05 both are equivalent."""


@dataclass(frozen=True)
class Evidence:
    """What one comparison supports."""

    question: str
    answer: str
    """One sentence with its uncertainty."""
    target: Target
    """`checkpoints`: these networks on other images; `seeds`: new training runs as well."""
    block: int | None
    """Neighbouring images of a group that are resampled together; None for whole groups."""
    num_blocks: int
    """Blocks with a labelled pixel; 0 where nothing was counted."""
    num_images: int
    seeds: tuple[int, ...]
    """All seeds of all models."""
    margin: float
    """Differences below it do not matter."""
    band: int
    """Pixels from a true boundary, of `within` and `beyond` of the pairs."""
    models: tuple[ModelEvidence, ...]
    """Best first; after them, best first, those that did not train."""
    pairs: tuple[PairEvidence, ...]
    """Of the ranked models, in their order."""
    did_not_train: dict[str, str]
    """Models that are not ranked, with the reason; also those without any finished seed."""
    noise_floor: Spread
    """SD of mIoU between runs that repeat the same trial; its `reason` where none does."""
    convergence: Convergence
    """Whether the networks still learn where their training ends."""

    @property
    def caveat(self) -> str:
        """What stands above a table that no order should be read from; else empty."""
        if not self.convergence.too_short:
            return ""
        names = {*self.did_not_train, *(model.model for model in self.models)}
        return f"Too short to {'rank' if len(names) > 1 else 'judge'}"

    def model(self, name: str) -> ModelEvidence | None:
        """What there is on a model; None for one without a finished seed."""
        return next((m for m in self.models if m.model == name), None)

    def to_json(self) -> dict[str, Any]:
        """The same in lists and dictionaries, as a JSON file gives it back."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain


@dataclass(frozen=True)
class RecipeChange:
    """A field in which two recipes differ, with its values as text."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field}={self.after} instead of {self.before}"


@dataclass(frozen=True)
class Effect:
    """What a changed recipe is worth for one network, or for several as their mean.

    Scores are of the seeds that it has under both recipes, and None in a mean over networks.
    """

    model: str
    seeds: tuple[int, ...]
    difference: Interval | None
    """mIoU under the second recipe less that under the first; None where `reason` says why."""
    before: float | None
    after: float | None
    target: Target
    """`checkpoints` where the interval has no part of seeds."""
    reason: str = ""
    note: str = ""
    """Under which of the two it did not train, being at most a point above the position prior."""


@dataclass(frozen=True)
class RecipeEffect:
    """Two recipes under which the same networks ran, and what the second is worth.

    Each interval is for itself: nothing is corrected for the number of networks or of recipes.
    """

    before: str
    after: str
    """Names of the recipes."""
    changes: tuple[RecipeChange, ...]
    """All fields in which they differ; with several, the effect is that of all of them."""
    networks: tuple[Effect, ...]
    mean: Effect | None
    """Over the networks that have a difference; of one network alone its own; None without any."""
    num_blocks: int
    num_images: int
    sentence: str
    """What is worth how much, with the interval and what it speaks of."""
