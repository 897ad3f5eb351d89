"""The module: its curve, what it does with a loss that is no number, and what it waits for."""

from collections import OrderedDict
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules.gpu_arithmetic import search_algorithms
from lightning_modules.normalisation import Normalisation
from lightning_modules.objective import Losses, Objective
from lightning_modules.optimisation import Optimisation, build_optimizer
from lightning_modules.schedule import Schedule
from lightning_modules.segmentation import NonFiniteLossError, Segmentation

IGNORE = 255
pytestmark = [  # of Lightning's own loops, with torch's present way of walking batches
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


@pytest.mark.parametrize("classes", [1, 2])
def test_the_curve_of_one_class_and_of_two(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("crack", "road")[:classes]
    module = module_of(classes, names)
    monkeypatch.setattr(type(module), "global_step", 1)
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    truth = torch.tensor([[[0, 0, IGNORE, classes - 1]]], dtype=torch.uint8)
    for _ in range(2):  # it starts afresh after each
        module.confusion.update(torch.zeros(1, 1, 4, dtype=torch.int64), truth)
        module.on_validation_epoch_end()
        if classes == 1:
            assert logged == {"step": 1, "val/miou": 1, "val/iou/crack": 1}
        else:  # two pixels of three are right; the third is the second class's only one
            assert logged["val/iou/crack"] == pytest.approx(2 / 3)
            assert logged["val/miou"] == pytest.approx(1 / 3)
        logged.clear()


def module_of(
    classes: int = 2,
    names: tuple[str, ...] = (),
    steps: int = 4,
    class_weights: tuple[float, ...] | None = None,
    **changes: Any,
) -> Segmentation:
    torch.manual_seed(0)
    return Segmentation(
        nn.Conv2d(3, classes, 3, padding=1),
        names or tuple(f"class{i}" for i in range(classes)),
        objective=Objective(Losses(class_weights=class_weights)),
        optimisation=Optimisation(
            schedule=Schedule(kind="poly", lr=0.1, steps=steps), weight_decay=0.01
        ),
        **{"seed": 0, "bn_momentum": 0.1, **changes},
    )


class Fused(Segmentation):
    """Is optimised as on a GPU, which a CPU can do as well."""

    def configure_optimizers(self) -> Optimizer:
        return build_optimizer(self.model, self.optimisation, fused=True)


class Batches(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Four batches; of those from `bad` on the first pixel is no number."""

    def __init__(self, num: int, bad: int | None = None) -> None:
        self.num, self.bad = num, bad

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        image = torch.rand(2, 8, 8, 3, generator=generator)
        if self.bad is not None and index >= self.bad:
            image[0, 0, 0] = torch.nan
        mask = torch.randint(2, (2, 8, 8), generator=generator, dtype=torch.uint8)
        return {"image": image, "mask": mask}


def train(module: Segmentation, data: Batches, every: int, callback: L.Callback) -> None:
    trainer = L.Trainer(
        accelerator="cpu", max_steps=data.num, log_every_n_steps=every, logger=False,
        callbacks=[callback], enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(data, batch_size=None)
    trainer.fit(module, loader, loader)


def weights_of(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


class Weights(L.Callback):
    """Keeps the weights after each step."""

    def __init__(self) -> None:
        self.after: list[Tensor] = []

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        self.after.append(weights_of(module))


@pytest.mark.parametrize(("kind", "until"), [(Segmentation, 2), (Fused, 4)])
def test_a_loss_that_is_no_number_leaves_the_weights(kind: type[Segmentation], until: int) -> None:
    """At once on a CPU; a GPU that is not asked leaves them alone until it is, and then says it."""
    module, weights = module_of(steps=6), Weights()
    module.__class__ = kind
    with pytest.raises(NonFiniteLossError, match=r"no finite number at step 2: .*are kept"):
        train(module, Batches(6, bad=2), 4, weights)
    assert len(weights.after) == until - (kind is Fused)  # the one that looks ends in its step
    last = weights_of(module)
    assert torch.isfinite(last).all()
    assert torch.equal(last, weights.after[1])


def test_no_state_is_kept_after_such_a_loss() -> None:
    module = module_of()
    module.diverged_at = torch.tensor(3)
    with pytest.raises(NonFiniteLossError, match="step 3"):
        module.on_save_checkpoint({})
    with pytest.raises(NonFiniteLossError, match="step 3"):
        module.on_validation_start()


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what would wait for a GPU: numbers that are read, sizes that follow from values."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket._qualified_op_name
        masks = name == "aten::index" and any(
            part is not None and part.dtype == torch.bool for part in args[1]
        )
        if masks or name in {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"}:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class CountWaits(L.Callback):
    """Of each training step with what Lightning does around it."""

    def __init__(self) -> None:
        self.waits: list[int] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.mode = Waits()
        self.mode.__enter__()  # type: ignore[no-untyped-call]

    def on_train_batch_end(self, *_: object) -> None:
        self.mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self.waits.append(len(self.mode.seen))


@pytest.mark.parametrize("weights", [None, (1.0, 2.0)])
def test_a_gpu_is_waited_for_once_in_many_steps(weights: tuple[float, ...] | None) -> None:
    module, counted = module_of(steps=8, class_weights=weights, micro_batch=1), CountWaits()
    module.__class__ = Fused
    train(module, Batches(8), 4, counted)
    assert [count > 0 for count in counted.waits] == [False] * 3 + [True] + [False] * 3 + [True]
    plain, counted = module_of(steps=8, class_weights=weights), CountWaits()
    train(plain, Batches(8), 4, counted)
    assert all(counted.waits)  # a CPU has always done what it was told


def test_what_a_gpu_may_round_is_said() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    kept = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    try:
        for tf32 in (True, False):
            module_of(tf32=tf32).setup("predict")
            assert matmul.allow_tf32 == cudnn.allow_tf32 == tf32
            assert matmul.fp32_precision == ("tf32" if tf32 else "ieee")
        search_algorithms(True)
        assert cudnn.benchmark
        torch.use_deterministic_algorithms(True)
        search_algorithms(True)
        assert not cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = kept


def test_steps_are_those_of_a_plain_loop() -> None:
    """AdamW with a warm-up, a cosine, a clipped gradient, norms that do not decay and a fast head,
    against torch's own parts without Lightning or a line of ours."""
    how = Optimisation(
        schedule=Schedule(kind="cosine", lr=0.01, steps=6, warmup=2), optimizer="adamw",
        betas=(0.8, 0.95), weight_decay=0.1, no_decay=True, head_lr=4, clip_norm=0.05,
    )  # fmt: skip

    def network() -> nn.Module:
        torch.manual_seed(0)
        parts = [nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Tanh()]
        return nn.Sequential(OrderedDict(trunk=nn.Sequential(*parts), head=nn.Conv2d(4, 2, 1)))

    model, data = network(), Batches(6)
    module = Segmentation(
        network(), ("road", "car"), objective=Objective(Losses()), optimisation=how, seed=0,
        bn_momentum=0.1,
    )  # fmt: skip
    after = Weights()
    train(module, data, 3, after)

    convolution, norm, head = (model.get_submodule(n) for n in ("trunk.0", "trunk.1", "head"))
    groups = [  # parameters, how much they decay, and how many times the rate they learn with
        ([convolution.weight], 0.1, 1), ([convolution.bias, *norm.parameters()], 0.0, 1),
        ([head.weight], 0.1, 4), ([head.bias], 0.0, 4),
    ]  # fmt: skip
    names = ("params", "weight_decay", "times")
    kinds = [dict(zip(names, group, strict=True)) for group in groups]
    optimizer = torch.optim.AdamW(kinds, betas=(0.8, 0.95))
    normalise = Normalisation()
    for step in range(6):
        rate = (step + 1) / 3 if step < 2 else (1 + np.cos(np.pi * (step - 2) / 4)) / 2
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * rate * group["times"]
        batch = data[step]
        optimizer.zero_grad()
        logits = model(normalise(batch["image"]))
        nn.functional.cross_entropy(logits, batch["mask"].long()).backward()  # type: ignore[no-untyped-call]
        assert nn.utils.clip_grad_norm_(model.parameters(), 0.05) > 0.05
        optimizer.step()
        torch.testing.assert_close(after.after[step], weights_of(model), rtol=1e-5, atol=1e-7)
