"""Cityscapes on a made-up root in the published layout, and against the authors' own scripts."""

import copy
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluator  # noqa: N813
from cityscapesscripts.helpers.labels import id2label, labels, trainId2label
from PIL import Image

from datamodules.datasets.cityscapes import CITYSCAPES, INFO, cityscapes, export
from datamodules.image_files import ImageFileDataset
from datamodules.labels import IGNORE, DataError, UInt8
from experiments.scoring.metrics import score_folder
from tests.trees.cityscapes import IDS, build

KINDS = ("labelIds", "labelTrainIds")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each kind of label files, for tests that change nothing in them."""
    roots = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, root in roots.items():
        build(root, [kind])
    return roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path / "data")
    return tmp_path / "data"


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def _label(root: Path, id: str, kind: str = "labelIds", split: str = "train") -> Path:
    return root / "gtFine" / split / id.split("_")[0] / f"{id}_gtFine_{kind}.png"


def _image(root: Path, id: str, split: str = "train") -> Path:
    return root / "leftImg8bit" / split / id.split("_")[0] / f"{id}_leftImg8bit.png"


def test_the_table_is_the_authors() -> None:
    theirs = [(x.id, x.trainId, x.name, x.color) for x in labels if x.id >= 0]
    assert [tuple(label) for label in CITYSCAPES.labels] == theirs
    assert CITYSCAPES.num_classes == 19
    assert [label.name for label in labels if label.id < 0] == ["license plate"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_ids_are_sorted_and_groups_are_cities(trees: dict[str, Path], split: str) -> None:
    data = cityscapes(split, trees["labelIds"])
    assert data.ids == sorted(IDS[split])
    assert data.groups == [id.split("_")[0] for id in sorted(IDS[split])]


@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_of_labels_are_read_alike(trees: dict[str, Path], kind: str) -> None:
    # As another process gets it.
    data: ImageFileDataset = pickle.loads(pickle.dumps(cityscapes("train", trees[kind])))
    assert data.labels == CITYSCAPES
    for index, id in enumerate(data.ids):
        image, mask = data[index]
        ids = _pixels(_label(trees["labelIds"], id))  # the trees differ in the kind alone
        expected = [[id2label[v].trainId for v in row] for row in ids.tolist()]
        assert mask.tolist() == expected
        assert np.array_equal(image, _pixels(_image(trees[kind], id)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_a_byte(root: Path, kind: str) -> None:
    """The authors' train id for the values that they use, and a refusal of all others."""
    id = IDS["train"][0]
    if kind == "labelTrainIds":
        for path in root.glob("gtFine/train/*/*_labelIds.png"):
            path.rename(path.with_name(path.name.replace("labelIds", kind)))
        known = {**{k: k for k in range(19)}, 255: 255}
    else:
        known = {value: id2label[value].trainId for value in range(34)}
    data, path = cityscapes("train", root), _label(root, id, kind)
    for value in range(256):
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(path)
        if value in known:
            assert data.mask(0).tolist() == [[known[value]] * 3] * 2
        else:
            with pytest.raises(DataError) as caught:
                data.mask(0)
            assert str(path) in str(caught.value)
            assert f" {value} (6 pixels)" in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "note"),
    [
        (["labelIds"], "labels are read from *_gtFine_labelIds.png (label ids)"),
        (["labelTrainIds"], "labels are read from *_gtFine_labelTrainIds.png (train ids)"),
        (KINDS, "labels are read from *_gtFine_labelIds.png (label ids)"),
    ],
)
def test_the_kind_that_is_there_is_read(tmp_path: Path, kinds: Sequence[str], note: str) -> None:
    build(tmp_path, kinds)
    data = cityscapes("val", tmp_path)
    assert data.notes == [note]
    assert all(str(s.mask).endswith(note.split()[4].lstrip("*")) for s in data.samples)


def test_a_stray_file_of_the_other_kind_is_a_missing_label(root: Path) -> None:
    id = IDS["train"][1]
    _label(root, id).rename(_label(root, id, "labelTrainIds"))
    data = cityscapes("train", root)
    assert data.ids == IDS["train"]
    assert data.samples[1].mask == _label(root, id)  # which the checker finds missing
    with pytest.raises(DataError, match="labelIds.png cannot be read"):
        data.mask(1)


@pytest.mark.parametrize("lost", [_label, _image])
def test_a_pair_of_which_one_is_missing_stays_a_sample(root: Path, lost: Any) -> None:
    before = cityscapes("train", root)
    path = lost(root, IDS["train"][2])
    path.unlink()
    after = cityscapes("train", root)
    assert after.samples == before.samples
    with pytest.raises(DataError) as caught:
        after[2]
    assert str(path) in str(caught.value)


def test_the_test_split_has_no_labels(root: Path, tmp_path: Path) -> None:
    data = cityscapes("test", root)
    assert [s.mask for s in data.samples] == [_label(root, i, split="test") for i in IDS["test"]]
    assert (data.mask(0) == IGNORE).all()
    assert "not public" in data.notes[-1]
    build(tmp_path / "bare", placeholders=False)
    for lost in (None, "gtFine/test", "gtFine"):
        if lost:
            (tmp_path / "bare" / lost).rename(tmp_path / lost.replace("/", "-"))
        bare = cityscapes("test", tmp_path / "bare")
        assert [sample.mask for sample in bare.samples] == [None, None]
        assert bare.mask(1).shape == (48, 96) and (bare.mask(1) == IGNORE).all()
        assert len(bare.notes) == 1 and "not public" in bare.notes[0]


@pytest.mark.parametrize("lost", ["leftImg8bit/val", "gtFine/val", "leftImg8bit/test"])
def test_no_folder_of_a_split(root: Path, lost: str) -> None:
    (root / lost).rename(root / "moved")
    assert len(cityscapes("train", root)) == 6
    with pytest.raises(DataError) as caught:
        cityscapes(lost.split("/")[1], root)
    text = str(caught.value)
    assert str(root.absolute()) in text and f"looked for {lost})" in text
    assert "gtFine_trainvaltest.zip" in text and "--data-root" in text


def test_no_root_unknown_splits_and_empty_folders(root: Path) -> None:
    with pytest.raises(DataError, match="none was given.*--data-root"):
        cityscapes("train")
    with pytest.raises(DataError, match="'train_extra'.*train, val, test"):
        cityscapes("train_extra", root)
    for path in root.glob("*/val/*/*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"leftImg8bit/val holds no \*/\*_leftImg8bit\.png"):
        cityscapes("val", root)


def test_what_it_says_of_itself() -> None:
    assert INFO.counts == {"train": 2975, "val": 500, "test": 1525}
    assert INFO.test_split == "val"
    assert not INFO.downloads()  # it needs a login


def _predict(folder: Path, ids: Sequence[str], classes: Sequence[int], seed: int = 0) -> None:
    """Random predictions as a run writes them."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for id in ids:
        picture = Image.fromarray(rng.choice(classes, (48, 96)).astype(np.uint8))
        picture.putpalette(CITYSCAPES.palette)
        picture.save(folder / f"{id}.png")


@pytest.mark.parametrize("classes", [range(19), [0, 2, 8, 13]], ids=["all", "few"])
@pytest.mark.parametrize("absent", [[], [16, 18]], ids=["whole", "absent"])
def test_the_authors_score_what_is_exported_as_we_do(
    root: Path, tmp_path: Path, classes: Sequence[int], absent: list[int]
) -> None:
    for id in IDS["val"]:
        ids = _pixels(_label(root, id, split="val")).copy()
        ids[np.isin(ids, [trainId2label[k].id for k in absent])] = 0
        Image.fromarray(ids).save(_label(root, id, split="val"))
    data = cityscapes("val", root)
    _predict(tmp_path / "ours", data.ids, [k for k in classes if k not in absent])
    assert export(tmp_path / "ours", data.ids, tmp_path / "theirs") == 3

    args = copy.copy(evaluator.args)
    args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
    args.predictionPath = str(tmp_path / "theirs")
    truths = [str(sample.mask) for sample in data.samples]
    found = [evaluator.getPrediction(args, truth) for truth in truths]
    theirs = evaluator.evaluateImgLists(found, truths, args)

    ours = score_folder(tmp_path / "ours", data).metrics()
    assert ours.num_classes_counted == 19 - len(absent)
    for name, iou in ours.iou.items():
        their_iou = theirs["classScores"][name]
        assert iou == (None if np.isnan(their_iou) else their_iou)
    # The order of the sum differs.
    assert ours.miou == pytest.approx(theirs["averageScoreClasses"], rel=1e-12, abs=0)


def test_an_export_holds_the_ids_and_nothing_else(tmp_path: Path) -> None:
    ids = IDS["val"]
    _predict(tmp_path / "ours", [*ids, "jena_000000_000019"], range(19))
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "a/b/new", tmp_path / "there"):  # an empty folder is as good as none
        assert export(tmp_path / "ours", ids, target) == 3
        assert sorted(path.name for path in target.iterdir()) == [f"{i}_labelIds.png" for i in ids]
        for id in ids:
            with Image.open(target / f"{id}_labelIds.png") as file:
                assert file.mode == "L"
            indices = _pixels(tmp_path / "ours" / f"{id}.png")
            expected = [[trainId2label[k].id for k in row] for row in indices.tolist()]
            assert _pixels(target / f"{id}_labelIds.png").tolist() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "ours", "there"]
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.full((4, 5), 19, np.uint8), "20 pixels above 18, up to 19: class indices 0 to 18"),
        (np.array([[0, 255], [18, 20]], np.uint8), "2 pixels above 18, up to 255"),
        (np.zeros((4, 5, 3), np.uint8), "uint8 in 3 channels: one channel"),
        (np.zeros((4, 5), np.uint16), "uint16 in 1 channels: one channel of 8-bit"),
        (None, "cannot be read"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    tmp_path: Path, pixels: UInt8 | None, says: str
) -> None:
    ids = IDS["val"]
    _predict(tmp_path / "ours", ids, range(19))
    path = tmp_path / "ours" / f"{ids[2]}.png"
    if pixels is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        Image.fromarray(pixels).save(path)
    with pytest.raises(DataError) as caught:
        export(tmp_path / "ours", ids, tmp_path / "theirs")
    assert str(path) in str(caught.value) and says in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["ours"]


def test_missing_predictions_and_a_target_that_is_taken(tmp_path: Path) -> None:
    ids = IDS["val"]
    _predict(tmp_path / "ours", ids[:1], range(19))
    with pytest.raises(DataError, match=rf"lacks 2 of 3 predictions, the first {ids[1]}\.png"):
        export(tmp_path / "ours", ids, tmp_path / "theirs")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/note.txt").write_text("keep")
    for target in (tmp_path / "theirs", tmp_path / "theirs/note.txt"):
        with pytest.raises(DataError, match="exists and is not empty: name a new folder"):
            export(tmp_path / "ours", ids[:1], target)
    assert (tmp_path / "theirs/note.txt").read_text() == "keep"
