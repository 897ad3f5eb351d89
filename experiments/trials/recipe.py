"""What a recipe is: everything that can change a number, except the network, its seed and the code.

A recipe is a frozen dataclass made by a function (`experiments.recipes`); a variant uses
`dataclasses.replace`.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from experiments.trials.hashing import short_hash
from experiments.trials.loss_terms import LossTerm, is_loss, is_own, loss_need, parse_loss
from experiments.trials.protocols import PROTOCOLS, EvaluationProtocol
from experiments.trials.tuning_budget import TuningBudget
from experiments.trials.value_checks import (
    MAX_SEED,
    SEEDS,
    are_weights,
    is_none_or_number,
    is_none_or_whole,
    is_number,
    is_pair,
    is_range,
    is_text,
    is_whole,
    one_of,
)
from models.registry import MIN_SIDE

PRECISIONS = ("32-true", "tf32", "bf16-mixed", "16-mixed")
WEIGHT_RULES = ("median-frequency", "inverse-sqrt")
OPTIMIZERS = ("sgd", "adamw")
_SCHEDULES = ("poly", "cosine", "constant")
_PHOTOMETRIC = ("none", "colour-jitter")
_CROP_ON = ("workers", "device", "auto")
_INITS = ("random", "imagenet")
_FIRST = {  # fields of the first published results; others are hashed where they are not default
    *("data", "train_split", "val_split", "test_split", "crop", "scale", "flip", "photometric"),
    *("batch", "micro_batch", "steps", "lr", "momentum", "weight_decay", "power", "class_weights"),
    *("bn_momentum", "precision", "init", "init_seed", "data_seed", "val_every"),
}


@dataclass(frozen=True)
class RecipeRequest:
    """A recipe as the command line asks for it, which makes it again (`trials.overrides`).

    Attributes:
        recipe: its name, or `file.py:function`.
        overrides: values of `--set`, as `lr=0.02`, in the order given.
        data: value of `--data`.
    """

    recipe: str
    overrides: tuple[str, ...] = ()
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every network of a comparison shares. Sizes are (height, width) in pixels."""

    # A result that holds a field of another version is refused rather than read in part.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    data: str
    """Data set with its options, as `streets:height=96:width=128`."""
    crop: tuple[int, int]
    batch: int
    """Global batch, split over all processes."""
    steps: int
    lr: float
    precision: str
    """32-true; tf32, which is fp32 whose products a GPU rounds to 10 bits (elsewhere it is
    32-true); bf16-mixed or 16-mixed, whose weights are fp32; the latter scales its losses."""
    micro_batch: int | None = None
    """Images a process passes at once; None passes its whole share of the batch."""
    optimizer: str = "sgd"
    """Or adamw, or one's own as `file.py:function`, which is called with groups of parameters
    (each with `params`, `lr` and `weight_decay`) and returns a `torch.optim.Optimizer`."""
    momentum: float = 0.9
    """Of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of adamw."""
    eps: float = 1e-8
    """Of adamw."""
    weight_decay: float = 5e-4
    no_decay: bool = False
    """Leave norms, biases and other parameters of one dimension out of `weight_decay`."""
    head_lr: float = 1.0
    """How many times `lr` what is not of a network's trunk learns with."""
    layer_decay: float = 1.0
    """Of `lr`, from each block of a transformer's trunk to the one below it."""
    clip_norm: float | None = None
    """The gradient's 2-norm is scaled down to it."""
    schedule: str = "poly"
    """Of the learning rate, step by step: poly, (1 - t) ** power; cosine; or constant."""
    power: float = 0.9
    """Of the polynomial decay from `lr` to 0."""
    warmup: int = 0
    """First steps, in which the learning rate grows linearly to `lr`; the decay follows them."""
    ema: float | None = None
    """Decay of an exponential average of the weights, which is then what is predicted with."""
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    photometric: str = "none"
    crop_on: str = "workers"
    """Where crops are made: by the reading processes, or on the device, which then holds the whole
    training set; colours change there by the same distribution from other draws. Or auto: on a
    GPU that has room for that set, else by the processes; the result says which."""
    loss: str = "ce"
    """Cross-entropy; or ohem, focal, dice, lovasz, one's own as `file.py:function`, which is called
    with logits (N, K, H, W) and labels (N, H, W; 255 is ignored) of the whole batch; or a sum of
    such as `ce+0.5*dice` (`lightning_modules.losses` says what each is)."""
    class_weights: tuple[float, ...] | str | None = None
    """Of the cross-entropy, in the order of the classes; or the rule by which they follow from the
    training split: median-frequency or inverse-sqrt."""
    label_smoothing: float = 0.0
    """Of the cross-entropy."""
    ohem_threshold: float = 0.9
    """ohem keeps the pixels whose true class is less probable than this,"""
    ohem_pixels: int | None = None
    """but of each image at least so many, by default a twelfth of the crop's."""
    aux_weight: float = 0.0
    """Of the cross-entropy of a network's auxiliary head; above 0 a network gets what training
    heads its paper has, at 0 none."""
    boundary_weight: float = 20.0
    """Of the balanced cross-entropy of a boundary head, which PIDNet has (`aux_weight` above 0)."""
    bn_momentum: float = 0.1
    init: str = "random"
    """Or imagenet: each network's trunk starts from timm's ImageNet weights; it must have some."""
    init_seed: int | None = None
    """None takes the trial's seed, as does `data_seed`."""
    data_seed: int | None = None
    val_every: int = 500
    """Steps between points of the validation curve; nothing is selected on it."""
    train_split: str = "train"
    val_split: str = "val"
    test_split: str = "test"
    """The split that is predicted and scored after the last step."""
    compile: bool = False
    """Train by `torch.compile`; the compiler rounds and draws dropout in its own way."""
    deterministic: bool = False
    """On a GPU: equal bits in each run, or a refusal that names what cannot have them. On a CPU
    they are equal anyway."""
    tuning: TuningBudget | None = None
    """By what search a network's own `lr` and `weight_decay` were chosen."""
    own_code: str | None = None
    """A hash of the files of one's own loss and optimizer, found when the recipe is loaded."""

    def __post_init__(self) -> None:
        for field, need, fine in chain(self._numbers(), self._names()):  # later ones need earlier
            if not fine:
                raise ValueError(
                    f"recipe {self.name}: {field} is {getattr(self, field)!r}, needed is {field} "
                    f"({need}): change it with --set {field}=..."
                )
        for contradiction in self._contradictions():
            raise ValueError(f"recipe {self.name}: {contradiction}")

    def _numbers(self) -> Iterator[tuple[str, str, bool]]:
        """Fields that are numbers or truths, what each needs, and whether it has it."""
        need = f"two sides of at least {MIN_SIDE}"
        yield "crop", need, is_pair(self.crop, is_whole, MIN_SIDE)
        for field in ("batch", "steps", "val_every"):
            yield field, "at least 1", is_whole(getattr(self, field), 1)
        yield "micro_batch", "1 to batch", is_none_or_whole(self.micro_batch, 1, self.batch)
        yield "warmup", "at least 0", is_whole(self.warmup, 0)
        pixels = self.crop[0] * self.crop[1]
        need = f"1 to the {pixels} pixels of a crop, or None"
        yield "ohem_pixels", need, is_none_or_whole(self.ohem_pixels, 1, pixels)
        for field in ("lr", "eps", "head_lr", "ohem_threshold"):
            value = getattr(self, field)
            yield field, "above 0", is_number(value) and value > 0
        for field in ("momentum", "label_smoothing"):
            value = getattr(self, field)
            yield field, "from 0 to below 1", is_number(value) and 0 <= value < 1
        for field in ("bn_momentum", "layer_decay"):
            value = getattr(self, field)
            yield field, "above 0, at most 1", is_number(value) and 0 < value <= 1
        yield "ema", "from 0 to below 1, or None", is_none_or_number(self.ema, 0, 1)
        yield "clip_norm", "above 0, or None", is_none_or_number(self.clip_norm, 1e-9)
        for field in ("weight_decay", "power", "aux_weight", "boundary_weight"):
            yield field, "at least 0", is_number(getattr(self, field), 0)
        fine = is_pair(self.betas, is_number, 0) and max(self.betas) < 1
        yield "betas", "two numbers from 0 to below 1", fine
        yield "scale", "0 < low <= high", is_range(self.scale)
        for field in ("flip", "compile", "deterministic", "no_decay"):
            yield field, "true or false", isinstance(getattr(self, field), bool)
        for field in ("init_seed", "data_seed"):
            yield field, SEEDS, is_none_or_whole(getattr(self, field), 0, MAX_SEED)

    def _names(self) -> Iterator[tuple[str, str, bool]]:
        """The same of fields that are names, and of weights, which may be one."""
        yield "name", "a text", is_text(self.name)
        yield "data", "a data set", is_text(self.data)
        for field in ("train_split", "val_split", "test_split"):
            yield field, "a split", is_text(getattr(self, field))
        yield "own_code", "found by itself", self.own_code is None or is_text(self.own_code)
        yield "loss", loss_need(self.loss), is_loss(self.loss)
        named: tuple[tuple[str, tuple[str, ...]], ...] = (
            *(("precision", PRECISIONS), ("photometric", _PHOTOMETRIC), ("crop_on", _CROP_ON)),
            *(("init", _INITS), ("schedule", _SCHEDULES)),
        )
        for field, names in named:
            yield field, one_of(names, getattr(self, field)), getattr(self, field) in names
        own = isinstance(self.optimizer, str) and is_own(self.optimizer)
        need = f"{one_of(OPTIMIZERS, self.optimizer)}, or file.py:function"
        yield "optimizer", need, own or self.optimizer in OPTIMIZERS
        if isinstance(self.class_weights, str):
            need = one_of(WEIGHT_RULES, self.class_weights)
            yield "class_weights", f"numbers, or {need}", self.class_weights in WEIGHT_RULES
        else:
            need = "numbers of at least 0, one above"
            yield "class_weights", need, are_weights(self.class_weights)

    def _contradictions(self) -> Iterator[str]:
        """Of values that are fine each by itself, those that cannot be meant together."""
        names = {term.name for term in self.loss_terms}
        ce = "ce" in names or self.aux_weight > 0
        ohem = "ohem" in names or self.aux_weight > 0
        whole = [term.name for term in self.loss_terms if term.whole_batch]
        for field, optimizer in (("momentum", "sgd"), ("betas", "adamw"), ("eps", "adamw")):
            if self._changed(field) and self.optimizer != optimizer:
                yield (
                    f"{field}={getattr(self, field)} is of {optimizer}, and optimizer is "
                    f"{self.optimizer}: leave one of them as it is"
                )
        if self._changed("power") and self.schedule != "poly":
            yield f"power is of the schedule poly, and schedule is {self.schedule}: leave it out"
        if self.warmup >= self.steps:
            yield (
                f"warmup takes {self.warmup} of {self.steps} steps, so the learning rate never "
                "decays: --set warmup= fewer"
            )
        if whole and self.micro_batch is not None:
            yield (
                f"the loss {whole[0]} is of the whole batch and no sum over parts of it, which "
                "micro_batch asks for: leave micro_batch out, or name another loss"
            )
        if self.class_weights is not None and not (ce or ohem):
            yield (
                f"class_weights are of ce and ohem, and loss is {self.loss}: leave them out, or "
                f"--set loss=ce+{self.loss}"
            )
        if self.label_smoothing and not ce:
            yield (
                f"label_smoothing is of ce, and loss is {self.loss}: leave it out, or "
                f"--set loss=ce+{self.loss}"
            )
        for field in ("ohem_threshold", "ohem_pixels"):
            if self._changed(field) and not ohem:
                yield f"{field} is of ohem, and loss is {self.loss}: leave it out"
        if self._changed("boundary_weight") and not self.aux_weight:
            yield (
                "boundary_weight is of a training head, and with aux_weight 0 there is none: leave "
                "it out, or --set aux_weight=0.4"
            )

    def _changed(self, field: str) -> bool:
        """Whether a value is not the default."""
        default = {own.name: own.default for own in dataclasses.fields(self)}[field]
        return bool(getattr(self, field) != default)

    @property
    def loss_terms(self) -> tuple[LossTerm, ...]:
        return parse_loss(self.loss)

    @property
    def own_functions(self) -> list[str]:
        """What of it is a user's, as `file.py:function`."""
        names = [self.optimizer, *(term.name for term in self.loss_terms)]
        return [name for name in names if is_own(name)]

    @property
    def train_parts(self) -> list[str]:
        """The splits of which the training split has images, as of `train+val~rest`."""
        return self.train_split.partition("~")[0].split("+")

    @property
    def protocol(self) -> EvaluationProtocol:
        """How predictions are made and scored; part of every result."""
        return EvaluationProtocol(split=self.test_split, passes=PROTOCOLS["single"])

    def untuned(self) -> "Recipe":
        """The recipe that networks share whose `lr` and `weight_decay` are their own."""
        if self.tuning is None:
            return self
        lr, weight_decay = self.tuning.lr, self.tuning.weight_decay
        return dataclasses.replace(self, lr=lr, weight_decay=weight_decay, tuning=None)

    def hash(self) -> str:
        """Of every field but the name; of a later one only where it is not the default, so that
        older results keep theirs."""
        fields = dataclasses.asdict(self)
        del fields["name"]
        for field in dataclasses.fields(self):
            if field.name not in _FIRST and fields.get(field.name) == field.default:
                del fields[field.name]
        return short_hash(fields)
