"""That networks can learn two images by heart: a small one of every file, to mIoU above 0.95."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from datamodules import open_data
from datamodules.imagenet_statistics import MEAN, STD
from datamodules.labels import IGNORE
from experiments.scoring.counts import confusion
from models import build_model
from tests.models.networks import LEARNERS

# A network whose last map is at 1/8 cannot draw what is thinner than 8 pixels. So the images are
# windows of a large rendering, where even an ideal classifier at 1/8 reaches 0.95 (image, top and
# left; the best of six images with six classes of 1 % and more).
RENDERING, WINDOW = (768, 1024), (128, 192)
WINDOWS = [(2, 576, 640), (5, 320, 128)]
# At 1/64 these windows are 2x3 cells, and averages of them one: batch norms behind these see two
# values, whose unbiased variance, which evaluation takes, is twice that of training.
BY_BATCH = ("ddrnet", "pidnet")  # judged by the statistics of the batch


def overfit(name: str, steps: int = 400, lr: float = 3e-3) -> tuple[float, int]:
    """mIoU of the two images in evaluation, and the steps of Adam that this took.

    Classes weigh the inverse of their pixels: else narrow networks leave out the rare ones.
    """
    height, width = RENDERING
    data = open_data(f"streets:height={height}:width={width}:train=6:val=2:test=2", "train", None)
    pairs = [
        tuple(part[y : y + WINDOW[0], x : x + WINDOW[1]] for part in data[index])
        for index, y, x in WINDOWS
    ]
    pixels = np.stack([(image / 255 - np.array(MEAN)) / np.array(STD) for image, _ in pairs])
    truth = np.stack([mask for _, mask in pairs])
    images = torch.from_numpy(pixels).float().permute(0, 3, 1, 2)  # channels-last
    masks = torch.from_numpy(truth).long()
    pixels_of = np.bincount(truth[truth != IGNORE], minlength=data.labels.num_classes)
    weights = torch.from_numpy(pixels_of.mean() / np.maximum(1, pixels_of)).float()
    torch.manual_seed(0)
    model = build_model(name, data.labels.num_classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    miou, by_batch = 0.0, name.startswith(BY_BATCH)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = lr * min(1, step / 10)
        optimizer.zero_grad()
        logits = model.train()(images)
        loss = F.cross_entropy(logits, masks, weights, ignore_index=IGNORE)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 25 == 0:
            with torch.no_grad():
                found = model.train(by_batch)(images).argmax(1).numpy()
            matrix = confusion(truth, found, data.labels.num_classes)
            union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
            miou = float((matrix.diagonal()[union > 0] / union[union > 0]).mean())
            if miou > 0.95:
                return miou, step
    return miou, steps


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_a_network_learns_two_images_by_heart(name: str) -> None:
    miou, _ = overfit(name)
    assert miou > 0.95


def test_every_file_has_a_network_here() -> None:
    from models import builder, parse_model
    from models.registry import FAMILIES, MODELS

    files = {entry.split(":")[0] for entry in (*MODELS.values(), *FAMILIES.values())}
    assert {builder(parse_model(name)[0]).split(":")[0] for name in LEARNERS} == files
