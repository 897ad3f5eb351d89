"""Which parameters learn how fast and decay."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from lightning_modules.optimisation import Optimisation, build_optimizer, layer_scales
from lightning_modules.schedule import Schedule
from models import build_model
from models.registry import MODELS
from models.weights import trunk

RATE = Schedule(kind="poly", lr=0.2, steps=1)


def rates(optimizer: Optimizer) -> dict[int, tuple[float, float]]:
    """Scale and decay of each parameter, which is in one group."""
    found: dict[int, tuple[float, float]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert id(parameter) not in found
            found[id(parameter)] = (group["lr_scale"], group["weight_decay"])
    return found


def test_plain_values_make_one_group_in_the_networks_order() -> None:
    model = build_model("unet:width=2", 3)
    optimizer = build_optimizer(model, Optimisation(schedule=RATE, weight_decay=0.1), fused=False)
    assert isinstance(optimizer, SGD)
    (group,) = optimizer.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.2, 0.1, 0.9)


def test_heads_learn_faster_and_norms_do_not_decay() -> None:
    model = build_model("deeplabv3p:trunk=mobilenetv2_100:width=8", 3)
    how = Optimisation(
        schedule=RATE,
        optimizer="adamw",
        betas=(0.8, 0.9),
        eps=1e-5,
        weight_decay=0.1,
        no_decay=True,
        head_lr=10,
    )
    optimizer = build_optimizer(model, how, fused=False)
    assert isinstance(optimizer, AdamW)
    found = rates(optimizer)
    for name, parameter in model.named_parameters():
        scale = 1 if name.startswith("trunk.") else 10
        decays = name.endswith("weight") and parameter.ndim == 4
        assert found[id(parameter)] == (scale, 0.1 if decays else 0.0), name
    for group in optimizer.param_groups:
        assert group["lr"] == 0.2 * group["lr_scale"]
        assert (group["betas"], group["eps"]) == ((0.8, 0.9), 1e-5)


def test_heads_of_training_are_heads() -> None:
    model = build_model("ddrnet23_slim:width=4", 3)
    model.add_training_heads()  # type: ignore[operator]
    optimizer = build_optimizer(model, Optimisation(schedule=RATE, head_lr=10), fused=False)
    found = rates(optimizer)
    fast = {n.split(".")[0] for n, p in model.named_parameters() if found[id(p)][0] == 10}
    assert fast == {"final_layer", "seghead_extra"}


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_a_head_and_a_trunk(name: str) -> None:
    """So that `head_lr` is no word without effect."""
    with torch.device("meta"):
        names = [n for n, _ in build_model(name, 3).named_parameters()]
    assert 0 < len(trunk(names)) < len(names)


def test_layers_of_a_vision_transformer_learn_slower_from_top_to_bottom() -> None:
    model = build_model("smp/dpt/tu-vit_tiny_patch16_224", 3)
    scales = layer_scales(model, 0.5)
    encoder = "model.encoder.model."
    assert scales[f"{encoder}patch_embed.proj.weight"] == 0.5**13
    for block in range(12):
        assert scales[f"{encoder}blocks.{block}.attn.qkv.weight"] == 0.5 ** (12 - block)
    assert not any(name.startswith("model.decoder") for name in scales)


def test_layers_of_a_segformer_count_through_its_stages() -> None:
    """Blocks 2, 2, 2, 2: what comes before the first is an embedding, norms go with a block."""
    scales = layer_scales(build_model("smp/segformer/mit_b0", 3), 0.5)
    encoder = "model.encoder."
    for stage in range(4):
        for block in range(2):
            name = f"{encoder}block{stage + 1}.{block}.attn.q.weight"
            assert scales[name] == 0.5 ** (8 - (2 * stage + block)), name
        assert scales[f"{encoder}norm{stage + 1}.weight"] == 0.5 ** (8 - (2 * stage + 1))
    assert scales[f"{encoder}patch_embed1.proj.weight"] == 0.5**9


def test_a_trunk_without_blocks_is_refused() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
            self.classifier = nn.Conv2d(4, 2, 1)

    with pytest.raises(ValueError, match=r"trunk of Plain has none: .*--set layer_decay=1"):
        layer_scales(Plain(), 0.9)


def test_ones_own_optimiser_is_made_of_the_groups() -> None:
    given: list[dict[str, Any]] = []

    def make(groups: list[dict[str, Any]]) -> Optimizer:
        given.extend(groups)
        return torch.optim.RMSprop(groups)

    def wrong(groups: list[dict[str, Any]]) -> Tensor:
        return torch.zeros(1)

    model = build_model("unet:width=2", 3)
    how = Optimisation(schedule=RATE, optimizer=make, head_lr=3, weight_decay=0.1)
    optimizer = build_optimizer(model, how, fused=False)
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert sorted(group["lr_scale"] for group in given) == [1, 3]
    assert sorted(group["lr_scale"] for group in optimizer.param_groups) == [1, 3]
    with pytest.raises(ValueError, match="returned Tensor: a torch.optim.Optimizer of the groups"):
        build_optimizer(model, Optimisation(schedule=RATE, optimizer=wrong), fused=False)  # type: ignore[arg-type]
