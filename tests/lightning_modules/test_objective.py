"""The loss of a batch: what each output adds, and batches that show nothing or little."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.boundaries import boundary_target
from lightning_modules.losses import ohem_sum
from lightning_modules.objective import Losses, Objective

CLASSES, SIDES = 4, (24, 30)
TERMS = {
    "ce": Losses(),
    "smoothed and weighted": Losses(label_smoothing=0.2, class_weights=(1.0, 2.0, 0.5, 1.0)),
    "ohem": Losses(terms=(("ohem", 1.0),), ohem_pixels=3),
    "focal": Losses(terms=(("focal", 1.0),)),
    "dice": Losses(terms=(("dice", 1.0),)),
    "lovasz": Losses(terms=(("lovasz", 1.0),)),
    "sum": Losses(
        terms=(("ce", 1.0), ("dice", 0.5), ("own", 2.0)), own={"own": lambda x, _: x.mean()}
    ),
    "heads": Losses(aux_weight=0.4, boundary_weight=20.0, ohem_pixels=3),
}


def labels() -> Tensor:
    """Four classes in rectangles (2, 24, 30), with void."""
    mask = torch.zeros(2, *SIDES, dtype=torch.uint8)
    mask[0, 12:] = 1
    mask[:, :6, 16:] = 2
    mask[1, 14:, :20] = 3
    mask[1, :, 27:] = 255
    return mask


def outputs_of(classes: int, heads: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    outputs = {"out": torch.randn(2, classes, *SIDES)}
    if heads:
        outputs |= {"aux": torch.randn(2, classes, *SIDES), "boundary": torch.randn(2, 1, *SIDES)}
    return {name: output.requires_grad_() for name, output in outputs.items()}


def loss_of(losses: Losses, outputs: dict[str, Tensor], mask: Tensor) -> Tensor:
    objective = Objective(losses)
    shares = objective(outputs, mask, objective.counts(mask, outputs))
    return torch.stack([s.weight * s.total / s.parts for s in shares]).sum()


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("shown", ["nothing", "one class", "not class 2", "all"])
def test_what_a_batch_shows_little_of(name: str, shown: str) -> None:
    """Finite always; without a valid pixel the logits have loss 0 and gradient 0."""
    mask = labels()
    if shown == "nothing":
        mask[:] = 255
    elif shown == "one class":
        mask[:] = 1
    elif shown == "not class 2":
        mask[mask == 2] = 255
    outputs = outputs_of(CLASSES, name == "heads")
    loss = loss_of(TERMS[name], outputs, mask)
    assert loss.ndim == 0 and loss.isfinite()
    loss.backward()  # type: ignore[no-untyped-call]
    for key, output in outputs.items():
        assert output.grad is not None and output.grad.isfinite().all()
        # Labels of one class have no edge, so that no pixel weighs anything there.
        learns = shown != "nothing" and not (key == "boundary" and shown == "one class")
        assert output.grad.any() == learns, key
    if shown == "nothing":
        assert loss.item() == 0
    elif name != "sum":
        assert loss.item() > 0


@pytest.mark.parametrize("name", TERMS)
def test_a_data_set_of_one_class(name: str) -> None:
    losses = TERMS[name]
    if losses.class_weights:
        losses = Losses(class_weights=(2.0,))
    loss = loss_of(
        losses, outputs_of(1, name == "heads"), torch.zeros(2, *SIDES, dtype=torch.uint8)
    )
    assert loss.isfinite()


def test_heads_add_what_the_papers_say() -> None:
    """PIDNet's total by hand, with each part from a function that is tested by itself."""

    mask = labels().long()
    outputs = {k: 3 * v.detach() for k, v in outputs_of(CLASSES, heads=True).items()}
    losses = Losses(terms=(("ohem", 1.0),), aux_weight=0.4, boundary_weight=20.0, ohem_pixels=5)
    boundary, edge = outputs["boundary"][:, 0], boundary_target(mask).float()
    valid = mask != 255
    share = edge[valid].mean()
    weight = torch.where(edge > 0, 1 - share, share)[valid]
    binary = F.binary_cross_entropy_with_logits(boundary[valid], edge[valid], weight)
    certain = torch.where(boundary.sigmoid() > 0.8, mask, 255)
    main = (ohem_sum(outputs["out"], m, None, 0.9, 5) / 2 for m in (mask, certain))
    expected = (
        0.4 * F.cross_entropy(outputs["aux"], mask, ignore_index=255) + 20 * binary + sum(main)
    )
    assert loss_of(losses, outputs, mask).item() == pytest.approx(float(expected), rel=1e-5)


def test_ones_own_loss_that_is_no_number() -> None:
    losses = Losses(terms=(("own", 1.0),), own={"own": lambda logits, mask: logits[0]})
    with pytest.raises(ValueError, match=r"Tensor of shape \(4, 24, 30\): a tensor of one"):
        loss_of(losses, outputs_of(CLASSES, heads=False), labels())
