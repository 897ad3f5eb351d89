"""A dozen faults that data sets have, planted in a tree of the CamVid tutorial's layout."""

from pathlib import Path

import numpy as np
from PIL import Image


def plant(root: Path) -> dict[str, str]:
    """Break twelve files, and return the words to be found about each.

    Two splits get an image in common, and the list of the test images a line.
    """
    images, labels, size = {}, {}, (0, 0)
    for split in ("train", "val", "test"):
        lines = (root / f"{split}.txt").read_text().split()
        paths = ["/".join(line.split("/")[-2:]) for line in lines]
        images[split], labels[split] = paths[::2], paths[1::2]
    with Image.open(root / images["train"][0]) as file:
        size = file.size
    pixels = f"({size[0] * size[1]} pixels)"

    def label(split: str, index: int, value: int, mode: str = "L") -> str:
        """A label file that is all of one value."""
        ids = np.full(size[::-1], value, np.uint16 if value > 255 else np.uint8)
        picture = Image.fromarray(ids)
        (picture if value > 255 else picture.convert(mode)).save(root / labels[split][index])
        return labels[split][index]

    (root / labels["train"][0]).unlink()
    (root / images["train"][1]).unlink()
    with Image.open(root / labels["train"][2]) as file:
        file.crop((0, 0, size[0] - 8, size[1])).save(root / labels["train"][2])
    whole = (root / images["train"][3]).read_bytes()
    (root / images["train"][3]).write_bytes(whole[: len(whole) // 2])
    (root / labels["train"][4]).write_bytes(b"")
    (root / images["val"][0]).write_text("<html>404</html>")
    (root / labels["val"][1]).unlink()
    (root / labels["val"][1]).symlink_to(Path(labels["val"][1]).name)
    with Image.open(root / images["train"][2]) as file:  # encoded anew: other bytes, same pixels
        file.convert("RGBA").save(root / images["test"][0], compress_level=1)
    first, name = root / images["test"][1], Path(images["test"][1]).name
    for folder, shown in (
        ("more", Image.open(first).rotate(180)),
        ("moreannot", Image.new("L", size)),
    ):
        (root / folder).mkdir()
        shown.save(root / folder / name)
    with (root / "test.txt").open("a") as list:
        list.write(f"/SegNet/CamVid/more/{name} /SegNet/CamVid/moreannot/{name}\n")
    return {
        labels["train"][0]: "is missing",
        images["train"][1]: "is missing",
        images["train"][2]: f"but its label {labels['train'][2]} is {size[0] - 8}x{size[1]}",
        images["train"][3]: "truncated",
        labels["train"][4]: "is empty",
        label("train", 5, 77): f"77 {pixels}",
        label("train", 6, 3, "RGB"): "has 3 channels",
        label("val", 2, 1000): f"1000 {pixels}",
        images["val"][0]: "is no image",
        labels["val"][1]: "levels of symbolic links",
        images["test"][0]: f"of test shows what {images['train'][2]} of train shows",
        f"more/{name}": f"is named {Path(name).stem} in test, as {images['test'][1]} is",
    }
