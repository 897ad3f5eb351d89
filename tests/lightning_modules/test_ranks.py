"""As many processes as there are GPUs against one; where there is one, two that share it.

On a CPU two, which start as two machines do. What `test_ddp` says of processes on a CPU holds here
with SyncBatchNorm as well, which has no CPU path.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.trials.launch import PARENT
from tests.commands import free_port, start
from tests.devices import GPU
from tests.lightning_modules.worker import MODEL

SECONDS = 120
ON_DEVICES = [pytest.param("cpu", marks=pytest.mark.slow), GPU]


def work(device: str, out: Path, ranks: int, *args: object) -> Path:
    """Have `ranks` processes train and evaluate."""
    own_gpus = device == "cuda" and torch.cuda.device_count() >= ranks
    hidden = {} if device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    # A rank that waits for ever ends with this process.
    environment = {**hidden, PARENT: str(os.getpid())}
    nodes, devices = (1, ranks) if own_gpus or ranks == 1 else (ranks, 1)
    place = {} if nodes == 1 else {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [
        start(
            "tests.lightning_modules.worker",
            *("all", "--out", out, "--devices", devices, "--nodes", nodes, *args),
            output=None,
            **environment,
            **({**place, "NODE_RANK": str(node)} if nodes > 1 else {}),
        )
        for node in range(nodes)
    ]
    try:
        for process in processes:
            text, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, text[-3000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return out


def losses(folder: Path, ranks: int) -> tuple[list[float], list[list[str]]]:
    """Of rank 0, and per step what all ranks saw, in their order."""
    records = [json.loads((folder / f"rank{r}.json").read_text()) for r in range(ranks)]
    steps = zip(*(record["seen"] for record in records), strict=True)
    return records[0]["losses"], [[h for part in step for h in part] for step in steps]


def farthest(a: Path, b: Path) -> float:
    first, second = (torch.load(p / "weights.pt", weights_only=True) for p in (a, b))
    return max(float((first[k].double() - second[k].double()).abs().max()) for k in first)


@pytest.mark.parametrize("device", ON_DEVICES)
def test_ranks_train_and_evaluate_as_one_process(device: str, tmp_path: Path) -> None:
    """In fp64, with uneven void: the loss is the mean over the valid pixels of the global batch."""
    ranks = max(2, torch.cuda.device_count()) if device == "cuda" else 2
    batch = ranks * max(1, 4 // ranks)
    one = work(device, tmp_path / "one", 1, "--batch", batch)
    warm = one / "warm/weights.pt"
    several = work(device, tmp_path / "several", ranks, "--batch", batch, "--weights", warm)
    parts = ["frozen", *(["live"] if device == "cuda" else [])]
    for part in parts:  # live ones see the whole batch only through SyncBatchNorm
        expected, seen = losses(one / part, 1)
        found, shown = losses(several / part, ranks)
        assert shown == seen and len(found) == 20
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0, err_msg=part)
        assert farthest(one / part, several / part) < 1e-5
    for size in (1, 3):
        folders = [
            out / f"evaluated/size{size}-workers0/smoke/{MODEL}/seed0" for out in (one, several)
        ]
        ours, theirs = (
            {path.name: path.read_bytes() for path in folder.glob("predictions/*.png")}
            for folder in folders
        )
        assert len(ours) == size and theirs == ours
        matrices = [json.loads((folder / "matrix.json").read_text()) for folder in folders]
        assert matrices[0] == matrices[1] and np.sum(matrices[0]) > 0
