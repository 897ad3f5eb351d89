"""PASCAL VOC 2012, 20 classes and background, and SBD's labels of more of its images.

Everingham et al.: "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 2015. 1464
training and 1449 validation images of at most 500 pixels a side; the border of each object, some
five pixels wide, is not scored. The test labels are not public, so models are scored on `val`.

`trainaug`, 10582 images, adds to `train` those of Hariharan et al.: "Semantic Contours from
Inverse Detectors", ICCV 2011 (SBD), which have no border and are less exact. SBD has its own
division, which mixes with `val`: of its 11355 images those of `val` are never trained on, and
those of `train` keep the labels of VOC.
"""

from pathlib import Path, PurePosixPath

import numpy as np
from scipy.io import loadmat

from datamodules.dataset import DatasetInfo, Download
from datamodules.image_files import (
    ImageFileDataset,
    Sample,
    check_root,
    check_split,
    listed,
    read_ids,
)
from datamodules.labels import IGNORE, AbsentError, DataError, Label, LabelSet, RawLabels

LISTS = "ImageSets/Segmentation"
RELEASE = "benchmark_RELEASE/dataset"  # of SBD

# Names and order of the development kit, colours of its VOClabelcolormap.m.
VOC2012 = LabelSet(
    (
        #     id train name          colour
        Label(0, 0, "background", (0, 0, 0)),
        Label(1, 1, "aeroplane", (128, 0, 0)),
        Label(2, 2, "bicycle", (0, 128, 0)),
        Label(3, 3, "bird", (128, 128, 0)),
        Label(4, 4, "boat", (0, 0, 128)),
        Label(5, 5, "bottle", (128, 0, 128)),
        Label(6, 6, "bus", (0, 128, 128)),
        Label(7, 7, "car", (128, 128, 128)),
        Label(8, 8, "cat", (64, 0, 0)),
        Label(9, 9, "chair", (192, 0, 0)),
        Label(10, 10, "cow", (64, 128, 0)),
        Label(11, 11, "diningtable", (192, 128, 0)),
        Label(12, 12, "dog", (64, 0, 128)),
        Label(13, 13, "horse", (192, 0, 128)),
        Label(14, 14, "motorbike", (64, 128, 128)),
        Label(15, 15, "person", (192, 128, 128)),
        Label(16, 16, "pottedplant", (0, 64, 0)),
        Label(17, 17, "sheep", (128, 64, 0)),
        Label(18, 18, "sofa", (0, 192, 0)),
        Label(19, 19, "train", (128, 192, 0)),
        Label(20, 20, "tvmonitor", (0, 64, 128)),
        Label(255, IGNORE, "border", (224, 224, 192)),
    )
)

INFO = DatasetInfo(
    title="PASCAL VOC 2012",
    source="Everingham et al.: The PASCAL VOC Challenge: A Retrospective, IJCV 2015; "
    "Hariharan et al.: Semantic Contours from Inverse Detectors, ICCV 2011 (trainaug)",
    licence="photos under Flickr's terms of use, for research",
    tree="""
VOCdevkit/VOC2012/
  JPEGImages/2007_000032.jpg
  SegmentationClass/2007_000032.png    palette, ids 0 to 20, 255
  ImageSets/Segmentation/train.txt     ids, one a line
  ImageSets/Segmentation/val.txt, trainval.txt
and for trainaug, the release of SBD
benchmark_RELEASE/dataset/
  cls/2008_000002.mat                  GTcls.Segmentation, ids 0 to 20
  train.txt, val.txt
or the same as PNG
VOCdevkit/VOC2012/
  SegmentationClassAug/2008_000002.png
  ImageSets/Segmentation/trainaug.txt  or train_aug.txt
""",
    counts={"train": 1464, "val": 1449, "trainval": 2913, "trainaug": 10582},
    steps=(
        "unpack VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012 (2 GB, "
        "photos under Flickr's terms of use) and name the folder that holds VOCdevkit with "
        "--data-root; trainaug also needs benchmark.tgz of SBD (1.4 GB), unpacked beside VOCdevkit"
    ),
    test_split="val",
    nested=frozenset({("train", "trainval"), ("val", "trainval"), ("train", "trainaug")}),
    # URLs and digests are those of torchvision's datasets/voc.py and sbd.py.
    downloads=lambda: [
        Download(
            url="https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            target=".",
            size=1_999_639_040,
            digest="md5:6cd6e144f989b92b3379bac3b3de84fd",
        ),
        Download(
            url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/"
            "semantic_contours/benchmark.tgz",
            target=".",
            size=1_419_539_633,
            digest="md5:82b4d87ceb2ed10f6038a1cba92111cb",
        ),
    ],
)


def voc2012(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, from its list; the photos are independent, so each is a group of its own.

    Args:
        root: the folder VOC2012, VOCdevkit, or the one that holds VOCdevkit.

    Raises:
        DataError: no root, list or folder; a list for training that names an image of `val`.
    """
    check_split("voc2012", split, list(INFO.counts))
    folder = _folder(check_root("voc2012", root, INFO.steps))
    if split == "trainaug":
        return _trainaug(folder)
    ids = _ids(folder / LISTS / f"{split}.txt")
    return ImageFileDataset(VOC2012, [_sample(folder, id, _mask(folder, id)) for id in ids])


def _folder(root: Path) -> Path:
    """The folder VOC2012, with the folders that every split needs."""
    places = (root, root / "VOC2012", root / "VOCdevkit/VOC2012")
    folder = next((place for place in places if (place / LISTS).is_dir()), None)
    if folder is None:
        raise AbsentError(
            f"no VOC 2012 at {root.absolute()} (looked for {LISTS} in it, in VOC2012 and in "
            f"VOCdevkit/VOC2012): {INFO.steps}"
        )
    for name in ("JPEGImages", "SegmentationClass"):
        if not (folder / name).is_dir():
            raise DataError(
                f"no images or labels of VOC 2012 at {folder.absolute()} (looked for {name}): "
                f"{INFO.steps}"
            )
    return folder


def _ids(listing: Path) -> list[str]:
    """The ids of a list, which may hold them as paths of images, and further columns."""
    lines = listed(listing, f"list of VOC 2012's {listing.stem}", INFO.steps)
    return [PurePosixPath(line.split()[0].replace("\\", "/")).stem for line in lines]


def _mask(folder: Path, id: str) -> Path:
    return folder / "SegmentationClass" / f"{id}.png"


def _sample(folder: Path, id: str, mask: Path) -> Sample:
    return Sample(id, id, folder / "JPEGImages" / f"{id}.jpg", mask)


def _trainaug(folder: Path) -> ImageFileDataset:
    """VOC's own labels where it has some, and SBD's of the further images."""
    train, val = _ids(folder / LISTS / "train.txt"), {*_ids(folder / LISTS / "val.txt")}
    aug = folder / "SegmentationClassAug"
    if aug.is_dir():
        ids = _listed_aug(folder, val)
        masks = {id: aug / f"{id}.png" for id in ids}
        note = f"labels of further images are read from {aug.name}"
    else:
        release = _release(folder)
        sbd = _ids(release / "train.txt") + _ids(release / "val.txt")
        masks = {id: release / "cls" / f"{id}.mat" for id in sbd if id not in val}
        ids = list(dict.fromkeys([*train, *masks]))
        left = len(sbd) - len(masks)
        note = f"labels of further images are SBD's own: {left} in VOC's val were left out"
    masks |= {id: _mask(folder, id) for id in train}
    samples = [_sample(folder, id, masks[id]) for id in ids]
    return ImageFileDataset(VOC2012, samples, read_labels, notes=[note])


def _listed_aug(folder: Path, val: set[str]) -> list[str]:
    """The ids of a list that goes with SegmentationClassAug."""
    names = ("trainaug.txt", "train_aug.txt")
    paths = [folder / LISTS / name for name in names]
    listing = next((path for path in paths if path.is_file()), paths[0])
    ids = _ids(listing)
    if leaked := [id for id in ids if id in val]:
        raise DataError(
            f"{listing} names {len(leaked)} images of VOC's val, the first {leaked[0]}: what is "
            "validated on must not be trained on, so take them out"
        )
    return ids


def _release(folder: Path) -> Path:
    """SBD's own folder, in VOC2012, beside it or beside VOCdevkit."""
    above = folder.absolute().parents
    places = (folder, *above[:2])
    for place in places:
        if (place / RELEASE / "cls").is_dir():
            return place / RELEASE
    raise AbsentError(
        f"no labels of trainaug at {folder.absolute()} (looked for SegmentationClassAug there, and "
        f"for {RELEASE}/cls there and in the two folders above): {INFO.steps}"
    )


def read_labels(sample: Sample) -> RawLabels:
    """The ids, (H, W), of a label file of VOC, or of SBD's MATLAB form.

    Raises:
        DataError: a file that cannot be read, or has no ids.
    """
    path = sample.mask
    assert path is not None
    if path.suffix != ".mat":
        return read_ids(sample)
    try:
        ids = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise DataError(
            f"{path} cannot be read as a label of SBD ({type(error).__name__}: {error}): unpack "
            "benchmark.tgz again"
        ) from None
    if ids.dtype != np.uint8 or ids.ndim != 2:
        raise DataError(
            f"{path} has labels of {ids.dtype} in {ids.ndim} dimensions: 8-bit ids in two are "
            "needed; unpack benchmark.tgz again"
        )
    return RawLabels(ids, path)
