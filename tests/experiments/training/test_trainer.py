"""What training does to a network besides its steps."""

import pytest
import torch
from torch import Tensor, nn

from experiments.training.trainer import TimmSyncBatchNorm
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
