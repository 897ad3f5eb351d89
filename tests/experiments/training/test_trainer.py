"""What training does to a network besides its steps."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.training.trainer import TimmSyncBatchNorm, explained_errors
from models import build_model
from tests.models.networks import SMALL


def _images() -> Tensor:
    return torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [*SMALL, "deeplabv3p:trunk=xception41:width=8"])
def test_batch_norms_over_processes_leave_the_network_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    network = build_model(name, 5)
    with torch.no_grad():
        network.train()(_images())
        before = network.eval()(_images())
        names = list(network.state_dict())
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        sync = TimmSyncBatchNorm()
        network = sync.apply(network)
        torch.testing.assert_close(network(_images()), before)
        assert list(network.state_dict()) == names
        found = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        assert len(found) == norms
        assert all(isinstance(module, nn.SyncBatchNorm) for module in found)
        torch.testing.assert_close(sync.revert(network)(_images()), before)


DATA: Any = SimpleNamespace(explain=lambda error: error)


def _fail_after(first: Exception, error: Exception) -> None:
    try:
        raise first
    except Exception:
        raise error  # noqa: B904


def test_an_error_keeps_what_it_came_from() -> None:
    """`raise error from error` would hide the context that a log shows."""
    error = RuntimeError("stack expects each tensor to be equal size")
    with pytest.raises(RuntimeError, match="stack expects") as caught, explained_errors(DATA):
        _fail_after(KeyError("the cause"), error)
    assert isinstance(caught.value.__context__, KeyError)
    assert caught.value.__cause__ is None


def test_the_error_before_lightning_cleared_away_is_the_one() -> None:
    late = RuntimeError("Please call `iter(combined_loader)` first.")
    with pytest.raises(OSError, match="Too many open files"), explained_errors(DATA):
        _fail_after(OSError(24, "Too many open files"), late)


def test_what_a_gpu_cannot_do_in_one_order_is_named() -> None:
    text = (
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you "
        "set 'torch.use_deterministic_algorithms(True)'."
    )
    said = r"in adaptive_avg_pool2d_backward_cuda, .*--set deterministic=false"
    with pytest.raises(ValueError, match=said), explained_errors(DATA):
        raise RuntimeError(text)


def test_a_network_that_uses_other_parts_each_step_is_told_so() -> None:
    text = "Expected to have finished reduction in the prior iteration before starting a new one"
    with (
        pytest.raises(ValueError, match="or train with --devices 1") as caught,
        explained_errors(DATA),
    ):
        raise RuntimeError(text)
    assert isinstance(caught.value.__cause__, RuntimeError)
