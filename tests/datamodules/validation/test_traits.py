"""What is no fault of a file but warns beside others: with the file, the count and the share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.labels import UInt8
from datamodules.validation.check import check
from datamodules.validation.image_checks import Finding
from tests.datamodules.odd_files import tiff

N, H, W = 8, 24, 32
Save = Callable[[UInt8, Path, int], None]


def photo(rng: np.random.Generator, height: int = H, width: int = W) -> UInt8:
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def plain(pixels: UInt8, path: Path, index: int) -> None:
    Image.fromarray(pixels).save(path)


def found(
    root: Path,
    kind: str,
    *,
    image: Save = plain,
    mask: Save = plain,
    size: tuple[int, int] = (H, W),
    table: str = "id,name\n0,a\n1,b\n",
) -> list[Finding]:
    """The findings of a kind, of a folder of N pairs written so; none may be an error."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "labels.csv").write_text(table)
    for i in range(N):
        image(photo(rng, *size), root / f"images/{i}.png", i)
        ids = (np.arange(size[0] * size[1]).reshape(size) // 50 % 2).astype(np.uint8)
        mask(ids, root / f"masks/{i}.png", i)
    findings = check("folder", root).findings
    assert not [f for f in findings if f.level == "error"], findings
    return [f for f in findings if f.kind == kind]


def exif(orientation: int, of: int = N) -> Save:
    def save(pixels: UInt8, path: Path, index: int) -> None:
        data = Image.Exif()
        data[0x0112] = orientation if index < of else 1
        Image.fromarray(pixels).save(path.with_suffix(".jpg"), exif=data)

    return save


@pytest.mark.parametrize(
    ("orientation", "size", "warned"),
    [
        (1, (H, H), False),
        (3, (H, W), True),  # upside down, at any size
        (2, (H, W), True),
        (6, (H, H), True),
        (8, (H, H), True),
    ],
)
def test_photographs_that_turn_unseen(
    tmp_path: Path, orientation: int, size: tuple[int, int], warned: bool
) -> None:
    findings = found(tmp_path / "d", "EXIF", image=exif(orientation), size=size)
    assert bool(findings) == warned
    assert not warned or "8 of 8 files, 100 %" in findings[0].text


def test_the_first_file_and_the_share_are_named(tmp_path: Path) -> None:
    (finding,) = found(tmp_path / "d", "EXIF", image=exif(3, of=1))
    assert (finding.file, finding.level) == ("images/0.jpg", "warning")
    assert "1 of 8 files, 12.5 %" in finding.text


def scaled(bits: int, of: int = N, colour: bool = False) -> Save:
    """16-bit files of a sensor of so many bits, and full ones."""

    def save(pixels: UInt8, path: Path, index: int) -> None:
        top = 2 ** (bits if index < of else 16) - 1
        grey = pixels.astype(float).mean(-1)
        grey = ((grey - grey.min()) / np.ptp(grey) * top).round().astype(np.uint16)
        if colour:
            content = tiff(np.repeat(grey[..., None], 3, -1), 2)
            path.with_suffix(".tif").write_bytes(content)
        else:
            Image.fromarray(grey).save(path)

    return save


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("bits", "levels"), [(10, 4), (12, 16), (14, 64), (16, 0)])
def test_16_bits_that_use_fewer(tmp_path: Path, bits: int, levels: int, colour: bool) -> None:
    findings = found(tmp_path / "d", "bit depth", image=scaled(bits, colour=colour))
    assert bool(findings) == bool(levels)
    if levels:
        assert f"{bits} of 16 bits (8 of 8 files, 100 %)" in findings[0].text
        assert f"{levels} levels" in findings[0].text


def test_8_bits_are_not_few(tmp_path: Path) -> None:
    assert not found(tmp_path / "d", "bit depth", image=lambda a, p, i: plain(a // 16, p, i))


@pytest.mark.parametrize("num", [3, 4, 5, 6])
def test_bands_that_are_left_out(tmp_path: Path, num: int) -> None:
    def save(pixels: UInt8, path: Path, index: int) -> None:
        more = np.dstack([pixels, *[pixels[..., 0]] * (num - 3)])
        path.with_suffix(".tif").write_bytes(tiff(more, 2 if num == 3 else 1, [0] * (num - 1)))

    findings = found(tmp_path / "d", "bands", image=save if num > 3 else plain)
    assert bool(findings) == (num > 3)


@pytest.mark.parametrize("few", [0, 1, 5, 8])
def test_masks_of_0_and_255(tmp_path: Path, few: int) -> None:
    def save(ids: UInt8, path: Path, index: int) -> None:
        plain(ids * np.uint8(255) if index < few else ids, path, index)

    findings = found(tmp_path / "d", "0 and 255", mask=save)
    assert bool(findings) == bool(few)
    assert not few or f"{few} of 8 files" in findings[0].text
    listed = "id,name\n0,a\n1,b\n255,c\n"
    assert not found(tmp_path / "e", "0 and 255", mask=save, table=listed)


@pytest.mark.parametrize("few", [0, 2, 8])
def test_masks_that_are_painted_beside_ids(tmp_path: Path, few: int) -> None:
    def save(ids: UInt8, path: Path, index: int) -> None:
        colours = np.array([[0, 0, 0], [200, 0, 0]], np.uint8)
        plain(colours[ids] if index < few else ids, path, index)

    table = "id,name,colour\n0,a,0 0 0\n1,b,200 0 0\n"
    findings = found(tmp_path / "d", "mask kinds", mask=save, table=table)
    assert bool(findings) == (0 < few < N)
    assert not findings or f"{few} of 8 files" in findings[0].text
