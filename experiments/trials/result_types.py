"""What a result says, field by field; `trials.results` reads and writes it.

Scores are fractions unless a name says percent. A score that cannot be given, as the IoU of a class
that neither truth nor prediction has, is None.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from experiments.trials.hashing import short_hash
from experiments.trials.protocols import EvaluationProtocol
from experiments.trials.recipe import Recipe, RecipeRequest

SCHEMA = 2

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
FailureKind = Literal["diverged", "out of memory", "killed", "data", "other"]


class Record(BaseModel):
    """Frozen, and with no field that this code does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Failure(Record):
    """Why a trial has no scores.

    Attributes:
        kind: diverged (its loss was no number: it did not train under its recipe), out of memory,
            killed (by a signal), data (a file that cannot be read, or that changed), other.
        reason: in one sentence.
    """

    kind: FailureKind
    reason: str


class Hashes(Record):
    """What has to be the same for two results to share a table; None where nobody told it.

    Attributes:
        code: of the source that the numbers come from (`trials.code_hash`); another stars a row.
    """

    recipe: str | None
    data: str | None
    protocol: str | None
    code: str | None


class Environment(Record):
    """Where a trial ran; None for what nobody told."""

    python: str | None = None
    machine: str | None = None
    torch: str | None = None
    lightning: str | None = None
    timm: str | None = None
    device: str | None = None
    hardware: str | None = None
    """The model of the GPU or of the processor."""
    threads: Count | None = None
    """Of each process, on a CPU."""
    jobs: Count = 1
    """Trials that ran side by side."""
    crop_on: str | None = None
    """Where crops were made, if the recipe left it to the machine."""
    processes: Count = 1


class Data(Record):
    """The split that was scored."""

    name: str
    split: str
    num_images: Count
    classes: tuple[str, ...]
    block: int | None
    """Neighbouring images of a group that resemble each other; None: whole groups."""
    fingerprints: dict[str, str] = {}
    warnings: tuple[str, ...] = ()


class Initialisation(Record):
    """The weights before training; of a file its name, hash, licence and what of it was loaded."""

    kind: str
    source: str | None = None
    sha256: str | None = None
    licence: str | None = None
    report: str | None = None


class GroupMetrics(Record):
    """Scores of the images of one clip, drive or city."""

    miou: Fraction | None
    pixel_accuracy: Fraction | None
    num_images: Count


class ImageMiou(Record):
    """mIoU of single images: the mean of all, and of the worst tenth."""

    mean: Fraction | None
    worst_decile: Fraction | None


class BoundaryIou(Record):
    """Boundary IoU (arXiv 2103.16562) within `fraction` of the image's diagonal."""

    fraction: Fraction
    mean: Fraction | None
    iou: dict[str, Fraction | None]


class BandMiou(Record):
    """mIoU of the pixels at most so far from a true boundary, and of all others, by width."""

    pixels: tuple[int, ...]
    within: tuple[Fraction | None, ...]
    beyond: tuple[Fraction | None, ...]


class ObjectBins(Record):
    """Objects by size; `edges` are the lower edges of all bins but the first, in pixels."""

    edges: tuple[int, ...]
    objects: tuple[Count, ...]
    recall: tuple[Fraction | None, ...]
    iou: tuple[Fraction | None, ...]


class ObjectMetrics(Record):
    """Objects by area (pixels) and by inscribed width (pixels)."""

    area: ObjectBins
    width: ObjectBins


class Metrics(Record):
    """Scores over the whole split; what was counted in later versions only may be None."""

    miou: Fraction | None
    pixel_accuracy: Fraction | None
    num_classes_counted: Count
    iou: dict[str, Fraction | None]
    groups: dict[str, GroupMetrics] = {}
    image_miou: ImageMiou | None = None
    boundary_iou: BoundaryIou | None = None
    bands: BandMiou | None = None
    objects: ObjectMetrics | None = None
    miou_variants: dict[str, Fraction | None] = {}
    """mIoU by other definitions (`scoring.miou_variants`)."""


class Cost(Record):
    """Of one image at the size that was scored; params_paper and the GFLOPs at the papers' size."""

    params: Count
    gmacs: Positive
    params_paper: Count
    paper_gflops_1024x2048: Positive
    size: tuple[int, int]
    latency_ms: Positive
    latency_ms_p10: Positive | None = None
    latency_ms_p90: Positive | None = None
    peak_memory_gb: Positive
    peak_memory_kind: str
    threads: Count
    device: str
    precision: str
    hardware: str | None = None
    """That took the latency, where it was taken again; else the trial's."""


class Timing(Record):
    """Seconds of training alone, over all resumed parts, and the steps that they took."""

    train_seconds: Positive
    steps: Count


Point = tuple[int, float]  # step and value


class Curve(Record):
    """Training loss and validation mIoU (a fraction) by step.

    Attributes:
        first_losses: of every one of the first steps, for `experiments.verify`.
    """

    train: tuple[Point, ...] = ()
    val: tuple[Point, ...] = ()
    first_losses: tuple[float, ...] = ()


class Checkpoint(Record):
    """The file of weights that were evaluated."""

    file: str
    sha256: str


class TrialIdentity(Record):
    """What a trial is, however it ends; `trial.json` holds it from the start.

    Attributes:
        version: of this project.
        request: how the recipe was asked for; None for predictions from elsewhere, as the recipe.
        repeat: which run of the same seeds.
    """

    schema_: Literal[2] = Field(default=2, alias="schema")
    version: str
    request: RecipeRequest | None
    recipe: Recipe | None
    model: str
    seed: int
    repeat: Count = 0
    init_seed: int | None = None
    data_seed: int | None = None
    protocol: EvaluationProtocol
    hashes: Hashes
    environment: Environment = Environment()

    @property
    def id(self) -> str:
        """Names the trial in W&B and in comparisons, on any machine."""
        again = [self.repeat] if self.repeat else []
        return short_hash([self.hashes.recipe, self.model, self.seed, *again])

    def fail(self, path: Path, failure: "Failure") -> "FailedTrial":
        """Its result, to be written to `path`."""
        return FailedTrial(**{**dict(self), "path": path, "failure": failure})

    def unscored(self, path: Path, data: Data) -> "FinishedTrial":
        """As it will finish, with nothing counted yet: it tells whether a table may hold it."""
        size = len(data.classes)
        nothing = Metrics(miou=None, pixel_accuracy=None, num_classes_counted=0, iou={})
        parts = {"data": data, "confusion": [[0] * size] * size, "metrics": nothing}
        return FinishedTrial(**{**dict(self), "path": path, **parts})


class TrialResult(TrialIdentity):
    """A trial that has ended: a `FinishedTrial` or a `FailedTrial`.

    Attributes:
        path: of the file, which does not hold it.
    """

    path: Path = Field(exclude=True)

    @property
    def done(self) -> bool:
        return isinstance(self, FinishedTrial)

    @property
    def label(self) -> str:
        """The model as a row of its own is called, with what tuning chose."""
        if self.recipe is None or self.recipe.tuning is None:
            return self.model
        return f"{self.model} (tuned: lr {self.recipe.lr:g}, wd {self.recipe.weight_decay:g})"

    @property
    def predictions(self) -> Path:
        return self.path.parent / "predictions"

    @property
    def data_name(self) -> str:
        """Data set with its options, of which the scored split is `protocol.split`."""
        if isinstance(self, FinishedTrial):
            return self.data.name
        assert self.recipe is not None  # predictions from elsewhere never failed
        return self.recipe.data

    @property
    def seeds(self) -> tuple[int, int]:
        """Of the initialisation and of the data order; runs that share both repeat each other."""
        init, data = self.init_seed, self.data_seed
        return self.seed if init is None else init, self.seed if data is None else data


class FailedTrial(TrialResult):
    """A trial without scores."""

    failure: Failure


class FinishedTrial(TrialResult):
    """A trial with scores; those of label maps from elsewhere have no cost, timing and curve.

    Attributes:
        confusion: pixels, rows truth, columns prediction.
        unpredicted: pixels of each class that are predicted void: errors in no column of
            `confusion`. Empty where there is none, as in every prediction of ours.
        per_image_sha256: of `per_image.npz`, which belongs to this scoring and no other; None in
            files of schema 1.
        checkpoint, precision: of an evaluation of single weights.
        class_weights: of the loss, where the recipe names a rule for them.
    """

    init: Initialisation | None = None
    class_weights: tuple[Positive, ...] | None = Field(
        default=None, exclude_if=lambda weights: weights is None
    )
    data: Data
    confusion: tuple[tuple[Count, ...], ...]
    unpredicted: tuple[Count, ...] = Field(default=(), exclude_if=lambda pixels: not pixels)
    metrics: Metrics
    per_image_sha256: str | None = None
    cost: Cost | None = None
    timing: Timing | None = None
    curve: Curve = Curve()
    checkpoint: Checkpoint | None = None
    precision: str | None = None

    def scored(
        self, confusion: list[list[int]], metrics: Metrics, unpredicted: Sequence[int] = ()
    ) -> "FinishedTrial":
        """With these scores instead of its own."""
        counts = {"confusion": confusion, "unpredicted": unpredicted}
        return FinishedTrial(**{**dict(self), **counts, "metrics": metrics})

    @model_validator(mode="after")
    def _fits(self) -> "FinishedTrial":
        size = len(self.data.classes)
        if {len(self.confusion), *map(len, self.confusion)} != {size}:
            raise ValueError(f"confusion has to be {size} x {size}, a row and column a class")
        if len(self.unpredicted) not in (0, size):
            raise ValueError(f"unpredicted has to be empty or of {size} counts, one a class")
        return self

    @property
    def with_void(self) -> tuple[tuple[int, ...], ...]:
        """`confusion` with a further column, of pixels that are predicted void: (K, K + 1)."""
        void = self.unpredicted or (0,) * len(self.confusion)
        return tuple((*row, pixels) for row, pixels in zip(self.confusion, void, strict=True))

    @property
    def true_pixels(self) -> list[int]:
        """Pixels of each class in the truth that were scored."""
        return [sum(row) for row in self.with_void]

    @property
    def miou(self) -> float:
        """0 for a split on which nothing was counted."""
        return self.metrics.miou or 0.0

    @property
    def initial_weights(self) -> str:
        """As `random` or `imagenet (resnet101.a1h_in1k)`; unknown for label maps of others."""
        kind = "unknown" if self.recipe is None else self.recipe.init
        source = self.init.source if self.init else None
        return f"{kind} ({source})" if source else kind


class PositionPrior(Record):
    """Scores of the most frequent training class at each position, and the hash of the data."""

    data: str
    metrics: Metrics


class Candidate(Record):
    """Of a search: values, and the mIoU or why there is none."""

    lr: float
    weight_decay: float
    miou: Fraction | None
    failure: Failure | None


class TuningStudy(Record):
    """The candidates that a tuned trial was chosen from; `chosen` is the index of the best."""

    candidates: tuple[Candidate, ...]
    chosen: int | None
