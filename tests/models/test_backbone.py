"""HRNet as a backbone: its maps, and V2p under torchvision's Faster R-CNN."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN

from models import build_backbone, build_model


def _image(height: int, width: int) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def _settled(module: nn.Module) -> nn.Module:
    """With running statistics of real activations, in evaluation."""
    with torch.no_grad():
        for _ in range(3):
            module.train()(_image(64, 64))
    return module.eval()


@pytest.mark.parametrize("size", [(64, 96), (33, 33), (50, 77)])
@pytest.mark.parametrize("name", ["hrnetv1_w4", "hrnetv2_w4", "hrnetv2p_w4"])
def test_maps_are_what_it_says(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    backbone: Any = build_backbone(name).eval()
    with torch.no_grad():
        maps = list(backbone(_image(*size)).values())
    assert [x.shape[1] for x in maps] == list(backbone.channels)
    for x, stride in zip(maps, backbone.strides, strict=True):
        assert list(x.shape[-2:]) == [math.ceil(math.ceil(s / 4) / (stride // 4)) for s in size]
    channels = {"hrnetv1_w4": [4], "hrnetv2_w4": [60], "hrnetv2p_w4": [256] * 5}
    assert list(backbone.channels) == channels[name]
    assert list(backbone.strides) == ([4, 8, 16, 32, 64] if "p" in name else [4])


@pytest.mark.parametrize(("version", "head"), [("v1", 32), ("v2", 480)])
def test_the_segmentation_network_is_this_backbone_and_a_head(version: str, head: int) -> None:
    torch.manual_seed(0)
    network = _settled(build_model(f"hrnet{version}_w32", 5))
    backbone = build_backbone(f"hrnet{version}_w32").eval()
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("last_layer")}
    backbone.load_state_dict(state)
    image = _image(40, 72)
    with torch.no_grad():
        features = backbone(image)["0"]
        logits = network.get_submodule("last_layer")(features)
        expected = F.interpolate(logits, (40, 72), mode="bilinear")
        torch.testing.assert_close(network(image), expected)
    assert features.shape[1] == head


def test_v1_sees_the_high_resolution_stream_of_the_same_trunk() -> None:
    """V1's map is the first C channels of V2's: only its last fusion makes no other stream."""
    torch.manual_seed(0)
    both = _settled(build_backbone("hrnetv2_w4"))
    single = build_backbone("hrnetv1_w4").eval()
    state = single.state_dict()
    single.load_state_dict({k: v for k, v in both.state_dict().items() if k in state})
    left_out = {k for k in both.state_dict() if k not in state}
    assert {k.rpartition("fuse_layers.")[0] for k in left_out} == {"stage4.2."}
    assert {k.split("fuse_layers.")[1][0] for k in left_out} == {"1", "2", "3"}
    with torch.no_grad():
        torch.testing.assert_close(single(_image(48, 48))["0"], both(_image(48, 48))["0"][:, :4])


def test_the_pyramid_averages_v2s_map() -> None:
    torch.manual_seed(0)
    pyramid = _settled(build_backbone("hrnetv2p_w4")).double()
    image = _image(64, 128).double()
    reduce, convs = pyramid.get_submodule("reduction_conv"), pyramid.get_submodule("fpn_convs")
    flat = build_backbone("hrnetv2_w4").double().eval()
    flat.load_state_dict({k: v for k, v in pyramid.state_dict().items() if k in flat.state_dict()})
    with torch.no_grad():
        x = reduce(flat(image)["0"])
        for level, found in enumerate(pyramid(image).values()):
            n, c, h, w = x.shape
            k = 2**level
            if h % k == 0:  # else the last row of means has fewer
                means = x.reshape(n, c, h // k, k, w // k, k).mean(dim=(3, 5))
                torch.testing.assert_close(found, list(convs.children())[level](means))


def test_faster_rcnn_takes_a_training_step_on_the_pyramid() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("hrnetv2p_w18")
    detector = FasterRCNN(backbone, num_classes=3, min_size=128, max_size=128).train()
    images = [torch.rand(3, 128, 128) for _ in range(2)]
    targets = [
        {"boxes": torch.tensor([[8.0, 8.0, 60.0, 90.0]]), "labels": torch.tensor([1])},
        {"boxes": torch.tensor([[30.0, 20.0, 120.0, 70.0]]), "labels": torch.tensor([2])},
    ]
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-3)
    before = {name: p.detach().clone() for name, p in backbone.named_parameters()}
    losses = detector(images, targets)
    loss = sum(losses.values(), torch.zeros(()))
    assert loss.isfinite()
    assert set(losses) == {
        "loss_classifier",
        "loss_box_reg",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        moved = not torch.equal(parameter, before[name])
        assert moved or not parameter.grad.any(), name
    assert any(not torch.equal(p, before[name]) for name, p in backbone.named_parameters())
    detector.eval()
    with torch.no_grad():
        found = detector(images)
    assert {"boxes", "labels", "scores"} == set(found[0])


def test_weights_of_a_network_fill_its_backbone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path = build_model("hrnetv2_w18", 3), tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    with pytest.warns(UserWarning, match=r"fit in part: .* 12 missing, .* unexpected"):
        backbone = build_backbone("hrnetv2p_w18", path)
    state, filled = network.state_dict(), backbone.state_dict()
    shared = [name for name in filled if name in state]
    assert len(shared) == sum(not name.startswith("last_layer.") for name in state)
    assert all(torch.equal(filled[name], state[name]) for name in shared)
    with pytest.raises(ValueError, match="of the network's trunk, and 95% are needed"):
        build_backbone("hrnetv2p_w32", path)


@pytest.mark.parametrize(
    "name", ["hrnetv3_w32", "hrnetv2", "hrnetv2_wide", "hrnetv2_w0", "unet", ""]
)
def test_an_unknown_backbone_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown backbone '{name}'; .*hrnetv2p_w32"):
        build_backbone(name)
