"""The decoded copy: equal to the files, whole or absent, and never used for other files."""

import json
import os
import pickle
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, UInt8
from datamodules.loading.cache import DecodedCopy, folder_of, open_decoded
from datamodules.loading.cache_writer import build
from datamodules.loading.transforms import sample_crop, warp_crop

SIZES = [(40, 50), (33, 61), (40, 50), (70, 34), (36, 48)]
REBUILD = "make it again with --rebuild"


@pytest.fixture
def files(tmp_path: Path) -> ImageFileDataset:
    """Five pairs of several sizes, as JPEG and PNG."""
    rng, samples = np.random.default_rng(0), []
    for index, size in enumerate(SIZES):
        image = tmp_path / f"{index}.{'jpg' if index % 2 else 'png'}"
        mask = tmp_path / f"{index}_ids.png"
        Image.fromarray(rng.integers(256, size=(*size, 3), dtype=np.uint8)).save(image)
        Image.fromarray(rng.integers(12, size=size, dtype=np.uint8)).save(mask)
        samples.append(Sample(f"clip_{index}", f"clip{index % 2}", image, mask))
    return ImageFileDataset(CAMVID, samples)


@pytest.fixture
def copy(files: ImageFileDataset, tmp_path: Path) -> Path:
    folder = tmp_path / "kept" / "copy"
    build(files, SIZES, files.fingerprint(), folder, jobs=1)
    return folder


def _open(files: ImageFileDataset, folder: Path) -> DecodedCopy:
    found = open_decoded(files.labels, folder, files.fingerprint(), REBUILD)
    assert found is not None
    return found


def _refusal(files: ImageFileDataset, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_decoded(files.labels, folder, files.fingerprint(), REBUILD)
    assert str(folder) in str(caught.value) and REBUILD in str(caught.value)
    return str(caught.value)


def test_every_pixel_is_that_of_the_files(files: ImageFileDataset, copy: Path) -> None:
    for data in (_open(files, copy), pickle.loads(pickle.dumps(_open(files, copy)))):
        assert (data.ids, data.groups, len(data)) == (files.ids, files.groups, 5)
        assert data.fingerprint() == files.fingerprint()
        for index in (3, 0, 4, 2, 1):
            image, mask = data[index]
            assert np.array_equal(image, files[index][0])
            assert np.array_equal(mask, files[index][1])
            assert np.array_equal(data.mask(index), mask)
            assert not image.flags.writeable


def test_crops_are_those_of_the_files(files: ImageFileDataset, copy: Path) -> None:
    data, rng = _open(files, copy), np.random.default_rng(0)
    for index in range(5):
        d = sample_crop(rng, SIZES[index], (33, 40), (0.5, 2.0), True)
        for one, other in zip(
            warp_crop(*files[index], (33, 40), d), warp_crop(*data[index], (33, 40), d), strict=True
        ):
            assert np.array_equal(one, other)


def test_without_a_copy_there_is_none(files: ImageFileDataset, tmp_path: Path) -> None:
    assert open_decoded(files.labels, tmp_path / "kept" / "copy", "x", REBUILD) is None


def test_a_copy_of_other_files_is_stale(files: ImageFileDataset, copy: Path) -> None:
    pixels = np.array(Image.open(files.samples[0].image))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(files.samples[0].image)
    assert "stale" in _refusal(files, copy)
    build(files, SIZES, files.fingerprint(), copy, jobs=1)  # what --rebuild does
    assert np.array_equal(_open(files, copy)[0][0], pixels)


@pytest.mark.parametrize("name", ["images.bin", "masks.bin"])
def test_one_changed_byte_is_found_and_its_image_named(
    files: ImageFileDataset, copy: Path, name: str
) -> None:
    depth = 3 if name == "images.bin" else 1
    before = sum(height * width for height, width in SIZES[:3])
    with (copy / name).open("rb+") as file:
        file.seek(before * depth)
        byte = file.read(1)[0]
        file.seek(before * depth)
        file.write(bytes([byte ^ 1]))
    assert "damaged, in 1 images, the first clip_3" in _refusal(files, copy)


def test_a_truncated_and_a_missing_part_are_found(files: ImageFileDataset, copy: Path) -> None:
    os.truncate(copy / "images.bin", 40 * 50 * 3 + 10)
    assert "damaged, in 4 images, the first clip_1" in _refusal(files, copy)
    (copy / "masks.bin").unlink()
    assert "damaged" in _refusal(files, copy)


def test_an_index_that_is_cut_off(files: ImageFileDataset, copy: Path) -> None:
    index = copy / "index.json"
    index.write_text(index.read_text()[:-30])
    assert "damaged" in _refusal(files, copy)


def test_a_copy_that_was_moved_is_whole(
    files: ImageFileDataset, copy: Path, tmp_path: Path
) -> None:
    shutil.copytree(copy, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    moved = _open(files, tmp_path / "elsewhere")
    assert np.array_equal(moved[1][0], files[1][0])


def test_a_build_that_is_stopped_goes_on(
    files: ImageFileDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = tmp_path / "kept" / "copy", []

    def stop(finished: int, total: int) -> None:
        if finished == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(files, SIZES, files.fingerprint(), folder, jobs=1, progress=stop)
    assert open_decoded(files.labels, folder, files.fingerprint(), REBUILD) is None
    build(
        files,
        SIZES,
        files.fingerprint(),
        folder,
        jobs=1,
        progress=lambda finished, total: done.append((finished, total)),
    )
    assert done[0][0] >= 3 and done[-1] == (5, 5)
    for index in range(5):
        assert np.array_equal(_open(files, folder)[index][0], files[index][0])
    assert sorted(path.name for path in folder.iterdir()) == [
        "images.bin",
        "index.json",
        "masks.bin",
    ]


def test_a_disk_that_is_too_small_says_how_much_is_needed(
    files: ImageFileDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # as shutil gives it
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**4, 0, 10**4))
    folder = tmp_path / "kept" / "copy"
    need = 4 * sum(height * width for height, width in SIZES) / 1e9
    with pytest.raises(DataError, match=f"takes {need:.2f} GB and 0.00 GB are free.*LAB_CACHE"):
        build(files, SIZES, files.fingerprint(), folder, jobs=1)
    assert not any(path.is_dir() for path in folder.parent.iterdir())


def test_a_file_that_cannot_be_read_ends_it_without_a_copy(
    files: ImageFileDataset, tmp_path: Path
) -> None:
    path = files.samples[2].image
    fingerprint = files.fingerprint()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=path.name):
        build(files, SIZES, fingerprint, tmp_path / "kept" / "copy", jobs=1)
    assert not (tmp_path / "kept" / "copy").exists()


def test_each_split_and_root_has_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path))
    roots = [tmp_path / "a", tmp_path / "b"]
    folders = {folder_of("folder", split, root) for split in ("train", "val") for root in roots}
    assert len(folders) == 4
    assert all(folder.is_relative_to(tmp_path) for folder in folders)


def test_a_reader_that_was_pickled_drags_no_pixels(files: ImageFileDataset, copy: Path) -> None:
    data = _open(files, copy)
    assert data[0][0].size  # mapped
    assert len(pickle.dumps(data)) < len(pickle.dumps(CAMVID)) + 2000
    assert json.loads((copy / "index.json").read_text())["pixels"] == sum(
        height * width for height, width in SIZES
    )


def test_values_outside_the_table_never_get_into_it(
    files: ImageFileDataset, tmp_path: Path
) -> None:
    wrong: UInt8 = np.full(SIZES[0], 77, np.uint8)
    assert files.samples[0].mask is not None
    Image.fromarray(wrong).save(files.samples[0].mask)
    with pytest.raises(DataError, match="77"):
        build(files, SIZES, files.fingerprint(), tmp_path / "kept" / "copy", jobs=1)
