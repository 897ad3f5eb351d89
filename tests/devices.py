"""The devices on which a test runs: the CPU anywhere, a GPU where there is one (`-m gpu`)."""

import pytest
import torch

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, no_gpu])
DEVICES = ["cpu", GPU]

# For tests of what takes the GPU by itself where there is one, as a trainer does.
_elsewhere = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
OWN_DEVICE = [pytest.param("cpu", marks=_elsewhere), GPU]
