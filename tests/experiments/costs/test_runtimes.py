"""Every runtime gives what torch gives: logits of random networks, mIoU of a trained one."""

import sys
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.datasets.streets import Streets
from datamodules.labels import IGNORE, UInt8
from experiments.costs import runtimes
from experiments.costs.benchmark import agreement
from experiments.costs.runtimes import Runner, inference, prepare
from experiments.scoring.metrics import score
from lightning_modules.normalisation import Normalisation
from models import build_model
from tests.models.networks import LEARNERS

FP32, BF16 = "32-true", "bf16-mixed"
EXPORTED = ("openvino", "onnxruntime")
QUICK = "pspnet:trunk=resnet18d:width=16"  # to export; its pooling is adaptive
# Of the greatest logit; measured: at most 4e-6.
TOLERANCE = 1e-4


def random_network(name: str) -> nn.Module:
    """With running statistics of its own, so that norms are no identities."""
    torch.manual_seed(0)
    network = build_model(name, 11)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.empty_like(module.weight.data).normal_(0, 0.1)
            module.running_var = torch.empty_like(module.weight.data).uniform_(0.5, 1.5)
    return network


def off(runner: Runner, network: nn.Module, image: Tensor) -> float:
    """The largest difference of logits from torch's, as a part of the largest logit."""
    with inference(image.device, FP32):
        ours, theirs = runner.forward(image).clone(), network(image)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name != QUICK else [])
        for name in LEARNERS
        # HRNet's trunk again, and half a thousand small layers: they were exported once, for half a
        # minute and for more than one.
        if "_ocr" not in name and "litehrnet" not in name
    ],
)
def test_an_export_gives_the_logits_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a size that no stride divides, on another image than that which was exported with."""
    network = random_network(name).eval()
    example, image = torch.zeros(1, 3, 65, 97), torch.randn(1, 3, 65, 97)
    exported = runtimes._onnx(network, example)
    monkeypatch.setattr(runtimes, "_onnx", lambda *_: exported)
    for runtime in EXPORTED:
        runner = prepare(network, runtime, FP32, example)
        assert runner.ran_in == "fp32"
        assert off(runner, network, image) < TOLERANCE, runtime
        assert off(runner, network, -image) < TOLERANCE, runtime  # nothing is held from before


@pytest.fixture
def compiler() -> Iterator[None]:
    """torch's, without processes of its own, which would outlive a test."""
    from torch._inductor import config

    with config.patch(compile_threads=1):
        yield


@cache
def trained() -> nn.Module:
    """A network that a few dozen steps on streets have taught the large classes."""
    torch.manual_seed(0)
    data = Streets("train", height=48, width=64, train=32)
    images = Normalisation()(torch.stack([torch.from_numpy(data[i][0]) for i in range(32)]))
    masks = torch.stack([torch.from_numpy(data[i][1]) for i in range(32)]).long()
    network = build_model("unet:width=8", data.labels.num_classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(60):
        some = torch.arange(8) + 8 * (step % 4)
        optimizer.zero_grad()
        F.cross_entropy(network(images[some]), masks[some], ignore_index=IGNORE).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def miou(runner: Runner, precision: str, data: Streets) -> float:
    def predict(index: int) -> UInt8:
        image = Normalisation()(torch.from_numpy(data[index][0])[None])
        with inference(image.device, precision):
            found: UInt8 = runner.forward(image).argmax(1)[0].to(torch.uint8).numpy()
        return found

    found = score(data, predict).metrics().miou
    assert found is not None
    return found


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("runtime", "precision", "ran_in"),
    [
        ("openvino", FP32, "fp32"),
        ("onnxruntime", BF16, "fp32"),
        ("openvino", BF16, "bf16"),
        pytest.param("compiled", BF16, "bf16", marks=pytest.mark.slow),
    ],
)
def test_a_trained_network_scores_as_in_torch(runtime: str, precision: str, ran_in: str) -> None:
    """mIoU to 0.1 points; in bf16, beside torch in fp32, still."""
    data, network = Streets("test", height=48, width=64, test=24), trained()
    example = torch.zeros(1, 3, 48, 64)
    theirs = miou(prepare(network, "eager", FP32, example), FP32, data)
    assert theirs > 0.2  # it has learnt something that could be lost
    runner = prepare(network, runtime, precision, example)
    if not (ran_in == "bf16" and runner.ran_in == "fp32"):  # a processor without bf16
        assert runner.ran_in == ran_in
    assert abs(miou(runner, precision, data) - theirs) < 0.001
    image = Normalisation()(torch.from_numpy(data[0][0])[None])
    assert agreement(network, runner, precision, image) > (0.99 if ran_in == "bf16" else 0.9999)
    assert "openvino_telemetry" not in sys.modules  # it would report the import


def test_agreement_counts_pixels() -> None:
    class Ramp(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([image[:, :1], 1 - image[:, :1]], 1)  # class 0 above one half

    image = torch.linspace(0, 1, 100).reshape(1, 1, 10, 10).repeat(1, 3, 1, 1)
    shifted: Callable[[Tensor], Tensor] = lambda x: Ramp()(x - 0.25)  # noqa: E731
    assert agreement(Ramp(), Runner(Ramp(), "fp32", 0.0), FP32, image) == 1
    assert agreement(Ramp(), Runner(shifted, "fp32", 0.0), FP32, image) == 0.75


class ByValue(nn.Module):
    """Of which no export can be made: what runs depends on values."""

    def forward(self, image: Tensor) -> Tensor:
        return image if float(image.sum()) > 1 else -image


def test_what_cannot_be_exported_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="^openvino cannot run this network: [^\n]+$"):
        prepare(ByValue(), "openvino", FP32, torch.zeros(1, 3, 40, 40))


def test_runtimes_of_processors_do_not_measure_a_gpu() -> None:
    image = torch.zeros(1, 3, 40, 40, device="meta")
    with pytest.raises(ValueError, match="onnxruntime runs on the processor, and measured here is"):
        prepare(nn.Identity(), "onnxruntime", FP32, image)
