"""Crops made on the device against those of the reading processes."""

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from datamodules.datasets.streets import Streets
from datamodules.imagenet_statistics import MEAN_COLOUR
from datamodules.labels import DataError, UInt8
from datamodules.loading.device_augmentation import (
    CropPlan,
    DeviceCrops,
    crop,
    crop_plan,
    jitter,
)
from datamodules.loading.samples import TrainData
from datamodules.loading.sampling import sample_seed
from datamodules.loading.transforms import Augmentation, photometric, sample_crop, warp_crop

SEED = 3
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, no_gpu])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("size", "shape"), [((60, 80), (33, 40)), ((97, 133), (60, 64)), ((50, 70), (80, 90))]
)
def test_a_crop_is_that_of_the_processes(
    device: str, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    """Of noise, on which interpolation elsewhere would differ by a hundred levels."""
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(*size, 3), dtype=np.uint8)
    mask = rng.integers(11, size=size, dtype=np.uint8)
    pictures = torch.from_numpy(np.stack([image[::-1].copy(), image])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([mask[::-1].copy(), mask]))
    mean = torch.tensor(MEAN_COLOUR).float()[:, None, None]
    geometries = [sample_crop(rng, size, shape, (0.5, 2.0), True) for _ in range(30)]
    plan = on_device(crop_plan([1] * 30, size, shape, geometries), device)
    cuts, shown = crop(pictures.to(device), masks.to(device), mean.to(device), plan)
    for geometry, cut, labels in zip(geometries, cuts, shown, strict=True):
        expected, truth = warp_crop(image, mask, shape, geometry)
        off = np.abs(cut.permute(1, 2, 0).cpu().numpy().astype(int) - expected)
        assert off.max() <= 1
        assert np.array_equal(labels.cpu().numpy(), truth)


def on_device(plan: CropPlan, device: str) -> CropPlan:
    moved: CropPlan = move_data_to_device(plan, torch.device(device))
    return moved


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_shows_what_the_stream_says(device: str) -> None:
    streets = Streets("train", train=6, height=60, width=80)
    how = Augmentation((40, 48), (0.5, 2.0), True, "none")
    keys = [(0, 4), (0, 1), (1, 4), (7, 0)]
    crops = DeviceCrops(streets, SEED, how)
    batch = crops(on_device(crops.plan(keys), device))
    stream = TrainData(streets, seed=SEED, augmentation=how)
    assert batch["image"].dtype == batch["mask"].dtype == torch.uint8
    assert batch["index"].tolist() == [4, 1, 4, 0]
    for position, key in enumerate(keys):
        sample = stream[key]
        off = batch["image"][position].cpu().int() - sample["image"].int()
        assert off.abs().max() <= 1
        assert torch.equal(batch["mask"][position].cpu(), sample["mask"])


class Growing(Streets):
    """Streets whose images get taller."""

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        image, mask = super().__getitem__(index)
        return image[: 50 + index], mask[: 50 + index]

    def mask(self, index: int) -> UInt8:
        return self[index][1]


def test_images_of_several_sizes_are_refused() -> None:
    crops = DeviceCrops(
        Growing("train", train=3, height=60, width=80), 0, Augmentation((40, 48), (1, 1), False, "")
    )
    with pytest.raises(DataError, match="80x51 and the first image 80x50.*crop_on=workers"):
        crops(crops.plan([(0, 0)]))


def test_colours_change_by_the_distribution_of_the_processes() -> None:
    """Means and spreads over 1500 draws of what brightness, contrast, saturation and hue alter."""
    image = np.random.default_rng(1).integers(60, 190, size=(8, 8, 3), dtype=np.uint8)
    image[..., 0] = image[..., 0] // 2 + 90  # reddish, so that hue and saturation show
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    entropies = [sample_seed(0, 0, i) for i in range(1500)]
    ours = [jitter(tensor, e).permute(1, 2, 0).numpy() for e in entropies]
    theirs = [photometric(image, e) for e in entropies]

    def figures(pictures: list[UInt8]) -> np.ndarray:
        values = np.stack(pictures).astype(float)
        each = np.stack(
            [
                values.mean((1, 2, 3)),
                values.std((1, 2, 3)),
                (values[..., 0] - values[..., 1]).mean((1, 2)),
                (values[..., 2] - values[..., 1]).mean((1, 2)),
                np.ptp(values, axis=3).mean((1, 2)),
            ]
        )
        return np.concatenate([each.mean(1), each.std(1)])

    unchanged = np.mean([np.array_equal(picture, image) for picture in ours])
    assert abs(unchanged - 0.2) < 0.04  # 3.9 standard deviations
    # Standard errors of 1500 draws are below 0.6 levels for brightness and less for the others.
    np.testing.assert_allclose(figures(ours), figures(theirs), atol=2.5)
    assert np.abs(figures(ours)[5:]).min() > 1  # each of them did vary
