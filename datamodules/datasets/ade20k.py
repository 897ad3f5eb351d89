"""ADE20K, 150 classes: the scene parsing benchmark that is made from it.

Zhou, Zhao, Puig, Fidler, Barriuso, Torralba: "Scene Parsing through ADE20K Dataset", CVPR 2017.
20210 training and 2000 validation images of many sizes, indoors and outdoors; some photos are grey.
The test labels are not public, so models are scored on `val`.
"""

from pathlib import Path

from datamodules.clutter import find
from datamodules.dataset import DatasetInfo, Download
from datamodules.image_files import ImageFileDataset, Sample, check_root, check_split
from datamodules.labels import IGNORE, AbsentError, DataError, Label, LabelSet

FOLDERS = {"train": "training", "val": "validation"}

# Names: the first of the synonyms in the benchmark's objectInfo150.txt. Colours: its color150.mat,
# as in mmsegmentation's datasets/ade.py and in GluonCV; they paint road and skyscraper alike.
# 0 is whatever is none of the 150, and not scored.
ADE20K = LabelSet(
    (
        #     id train name     colour
        Label(0, IGNORE, "other", (0, 0, 0)),
        Label(1, 0, "wall", (120, 120, 120)),
        Label(2, 1, "building", (180, 120, 120)),
        Label(3, 2, "sky", (6, 230, 230)),
        Label(4, 3, "floor", (80, 50, 50)),
        Label(5, 4, "tree", (4, 200, 3)),
        Label(6, 5, "ceiling", (120, 120, 80)),
        Label(7, 6, "road", (140, 140, 140)),
        Label(8, 7, "bed", (204, 5, 255)),
        Label(9, 8, "windowpane", (230, 230, 230)),
        Label(10, 9, "grass", (4, 250, 7)),
        Label(11, 10, "cabinet", (224, 5, 255)),
        Label(12, 11, "sidewalk", (235, 255, 7)),
        Label(13, 12, "person", (150, 5, 61)),
        Label(14, 13, "earth", (120, 120, 70)),
        Label(15, 14, "door", (8, 255, 51)),
        Label(16, 15, "table", (255, 6, 82)),
        Label(17, 16, "mountain", (143, 255, 140)),
        Label(18, 17, "plant", (204, 255, 4)),
        Label(19, 18, "curtain", (255, 51, 7)),
        Label(20, 19, "chair", (204, 70, 3)),
        Label(21, 20, "car", (0, 102, 200)),
        Label(22, 21, "water", (61, 230, 250)),
        Label(23, 22, "painting", (255, 6, 51)),
        Label(24, 23, "sofa", (11, 102, 255)),
        Label(25, 24, "shelf", (255, 7, 71)),
        Label(26, 25, "house", (255, 9, 224)),
        Label(27, 26, "sea", (9, 7, 230)),
        Label(28, 27, "mirror", (220, 220, 220)),
        Label(29, 28, "rug", (255, 9, 92)),
        Label(30, 29, "field", (112, 9, 255)),
        Label(31, 30, "armchair", (8, 255, 214)),
        Label(32, 31, "seat", (7, 255, 224)),
        Label(33, 32, "fence", (255, 184, 6)),
        Label(34, 33, "desk", (10, 255, 71)),
        Label(35, 34, "rock", (255, 41, 10)),
        Label(36, 35, "wardrobe", (7, 255, 255)),
        Label(37, 36, "lamp", (224, 255, 8)),
        Label(38, 37, "bathtub", (102, 8, 255)),
        Label(39, 38, "railing", (255, 61, 6)),
        Label(40, 39, "cushion", (255, 194, 7)),
        Label(41, 40, "base", (255, 122, 8)),
        Label(42, 41, "box", (0, 255, 20)),
        Label(43, 42, "column", (255, 8, 41)),
        Label(44, 43, "signboard", (255, 5, 153)),
        Label(45, 44, "chest of drawers", (6, 51, 255)),
        Label(46, 45, "counter", (235, 12, 255)),
        Label(47, 46, "sand", (160, 150, 20)),
        Label(48, 47, "sink", (0, 163, 255)),
        Label(49, 48, "skyscraper", (140, 140, 140)),
        Label(50, 49, "fireplace", (250, 10, 15)),
        Label(51, 50, "refrigerator", (20, 255, 0)),
        Label(52, 51, "grandstand", (31, 255, 0)),
        Label(53, 52, "path", (255, 31, 0)),
        Label(54, 53, "stairs", (255, 224, 0)),
        Label(55, 54, "runway", (153, 255, 0)),
        Label(56, 55, "case", (0, 0, 255)),
        Label(57, 56, "pool table", (255, 71, 0)),
        Label(58, 57, "pillow", (0, 235, 255)),
        Label(59, 58, "screen door", (0, 173, 255)),
        Label(60, 59, "stairway", (31, 0, 255)),
        Label(61, 60, "river", (11, 200, 200)),
        Label(62, 61, "bridge", (255, 82, 0)),
        Label(63, 62, "bookcase", (0, 255, 245)),
        Label(64, 63, "blind", (0, 61, 255)),
        Label(65, 64, "coffee table", (0, 255, 112)),
        Label(66, 65, "toilet", (0, 255, 133)),
        Label(67, 66, "flower", (255, 0, 0)),
        Label(68, 67, "book", (255, 163, 0)),
        Label(69, 68, "hill", (255, 102, 0)),
        Label(70, 69, "bench", (194, 255, 0)),
        Label(71, 70, "countertop", (0, 143, 255)),
        Label(72, 71, "stove", (51, 255, 0)),
        Label(73, 72, "palm", (0, 82, 255)),
        Label(74, 73, "kitchen island", (0, 255, 41)),
        Label(75, 74, "computer", (0, 255, 173)),
        Label(76, 75, "swivel chair", (10, 0, 255)),
        Label(77, 76, "boat", (173, 255, 0)),
        Label(78, 77, "bar", (0, 255, 153)),
        Label(79, 78, "arcade machine", (255, 92, 0)),
        Label(80, 79, "hovel", (255, 0, 255)),
        Label(81, 80, "bus", (255, 0, 245)),
        Label(82, 81, "towel", (255, 0, 102)),
        Label(83, 82, "light", (255, 173, 0)),
        Label(84, 83, "truck", (255, 0, 20)),
        Label(85, 84, "tower", (255, 184, 184)),
        Label(86, 85, "chandelier", (0, 31, 255)),
        Label(87, 86, "awning", (0, 255, 61)),
        Label(88, 87, "streetlight", (0, 71, 255)),
        Label(89, 88, "booth", (255, 0, 204)),
        Label(90, 89, "television receiver", (0, 255, 194)),
        Label(91, 90, "airplane", (0, 255, 82)),
        Label(92, 91, "dirt track", (0, 10, 255)),
        Label(93, 92, "apparel", (0, 112, 255)),
        Label(94, 93, "pole", (51, 0, 255)),
        Label(95, 94, "land", (0, 194, 255)),
        Label(96, 95, "bannister", (0, 122, 255)),
        Label(97, 96, "escalator", (0, 255, 163)),
        Label(98, 97, "ottoman", (255, 153, 0)),
        Label(99, 98, "bottle", (0, 255, 10)),
        Label(100, 99, "buffet", (255, 112, 0)),
        Label(101, 100, "poster", (143, 255, 0)),
        Label(102, 101, "stage", (82, 0, 255)),
        Label(103, 102, "van", (163, 255, 0)),
        Label(104, 103, "ship", (255, 235, 0)),
        Label(105, 104, "fountain", (8, 184, 170)),
        Label(106, 105, "conveyer belt", (133, 0, 255)),
        Label(107, 106, "canopy", (0, 255, 92)),
        Label(108, 107, "washer", (184, 0, 255)),
        Label(109, 108, "plaything", (255, 0, 31)),
        Label(110, 109, "swimming pool", (0, 184, 255)),
        Label(111, 110, "stool", (0, 214, 255)),
        Label(112, 111, "barrel", (255, 0, 112)),
        Label(113, 112, "basket", (92, 255, 0)),
        Label(114, 113, "waterfall", (0, 224, 255)),
        Label(115, 114, "tent", (112, 224, 255)),
        Label(116, 115, "bag", (70, 184, 160)),
        Label(117, 116, "minibike", (163, 0, 255)),
        Label(118, 117, "cradle", (153, 0, 255)),
        Label(119, 118, "oven", (71, 255, 0)),
        Label(120, 119, "ball", (255, 0, 163)),
        Label(121, 120, "food", (255, 204, 0)),
        Label(122, 121, "step", (255, 0, 143)),
        Label(123, 122, "tank", (0, 255, 235)),
        Label(124, 123, "trade name", (133, 255, 0)),
        Label(125, 124, "microwave", (255, 0, 235)),
        Label(126, 125, "pot", (245, 0, 255)),
        Label(127, 126, "animal", (255, 0, 122)),
        Label(128, 127, "bicycle", (255, 245, 0)),
        Label(129, 128, "lake", (10, 190, 212)),
        Label(130, 129, "dishwasher", (214, 255, 0)),
        Label(131, 130, "screen", (0, 204, 255)),
        Label(132, 131, "blanket", (20, 0, 255)),
        Label(133, 132, "sculpture", (255, 255, 0)),
        Label(134, 133, "hood", (0, 153, 255)),
        Label(135, 134, "sconce", (0, 41, 255)),
        Label(136, 135, "vase", (0, 255, 204)),
        Label(137, 136, "traffic light", (41, 0, 255)),
        Label(138, 137, "tray", (41, 255, 0)),
        Label(139, 138, "ashcan", (173, 0, 255)),
        Label(140, 139, "fan", (0, 245, 255)),
        Label(141, 140, "pier", (71, 0, 255)),
        Label(142, 141, "crt screen", (122, 0, 255)),
        Label(143, 142, "plate", (0, 255, 184)),
        Label(144, 143, "monitor", (0, 92, 255)),
        Label(145, 144, "bulletin board", (184, 255, 0)),
        Label(146, 145, "shower", (0, 133, 255)),
        Label(147, 146, "radiator", (255, 214, 0)),
        Label(148, 147, "glass", (25, 194, 194)),
        Label(149, 148, "clock", (102, 255, 0)),
        Label(150, 149, "flag", (92, 0, 255)),
    )
)

INFO = DatasetInfo(
    title="ADE20K",
    source="Zhou et al.: Scene Parsing through ADE20K Dataset, CVPR 2017",
    licence="images for non-commercial research and education, annotations BSD-3",
    tree="""
images/training/ADE_train_00000001.jpg        JPEG of any size
images/validation/ADE_val_00000001.jpg
annotations/training/ADE_train_00000001.png   ids 0 to 150
annotations/validation/ADE_val_00000001.png
""",
    counts={"train": 20210, "val": 2000},
    steps=(
        "unpack ADEChallengeData2016.zip from data.csail.mit.edu/places/ADEchallenge (967 MB, no "
        "account; images for non-commercial research and education) and name its folder with "
        "--data-root"
    ),
    test_split="val",
    # The digest is that of GluonCV's scripts/datasets/ade20k.py.
    downloads=lambda: [
        Download(
            url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
            target=".",
            size=967_382_037,
            digest="sha1:219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
        )
    ],
)


def ade20k(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split; its images are independent, so each is a group of its own.

    Args:
        root: the folder ADEChallengeData2016, or the one that holds it.

    Raises:
        DataError: no root, no folder of the split, or nothing in it.
    """
    check_split("ade20k", split, list(FOLDERS))
    root = check_root("ade20k", root, INFO.steps)
    if (root / "ADEChallengeData2016").is_dir():
        root = root / "ADEChallengeData2016"
    images = _folder(root, f"images/{FOLDERS[split]}")
    masks = _folder(root, f"annotations/{FOLDERS[split]}")
    # What only one of both has is kept: the check names the other, which is missing.
    ids = {path.stem for path in (*find(images, "*.jpg"), *find(masks, "*.png"))}
    if not ids:
        raise DataError(f"{images} holds no images (*.jpg): {INFO.steps}")
    samples = [Sample(id, id, images / f"{id}.jpg", masks / f"{id}.png") for id in sorted(ids)]
    return ImageFileDataset(ADE20K, samples)


def _folder(root: Path, name: str) -> Path:
    if not (root / name).is_dir():
        raise AbsentError(f"no ADE20K at {root.absolute()} (looked for {name}): {INFO.steps}")
    return root / name
