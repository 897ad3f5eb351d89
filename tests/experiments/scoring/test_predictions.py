"""Folders of predictions as others write them: every form alike, and every fault in one sentence.

Nothing here is written by the project's own code.
"""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules import open_data
from datamodules.datasets.cityscapes import CITYSCAPES
from datamodules.labels import Label, LabelSet, UInt8
from experiments.scoring import predictions as predictions_module
from experiments.scoring.counts import count
from experiments.scoring.metrics import (
    ScoredPredictions,
    full_scores,
    score_folder,
    score_predictions,
)
from experiments.scoring.prediction_files import (
    PredictionError,
    find_files,
    read_file,
    write_prediction,
)
from experiments.scoring.predictions import Ids, open_predictions
from tests.maps import LabelMaps

SPEC = "streets:height=48:width=64:train=4:val=2:test=3"


class City(LabelMaps):
    labels = CITYSCAPES


@pytest.fixture(scope="module")
def city() -> City:
    rng = np.random.default_rng(0)
    masks = [np.kron(rng.integers(0, 19, (6, 8)), np.ones((4, 5))) for _ in range(3)]
    data = City([mask.astype(np.uint8) for mask in masks])
    data.ids = [f"jena_{i:06}_000019" for i in range(3)]
    for mask in data.masks:
        mask[:3] = 255
    return data


@pytest.fixture(scope="module")
def predicted(city: City) -> list[UInt8]:
    """Somewhat wrong, with all classes; void lies at void alone."""
    rng = np.random.default_rng(1)
    found = []
    for mask in city.masks:
        wrong = rng.integers(0, 19, mask.shape)
        found.append(np.where((rng.random(mask.shape) < 0.3) | (mask == 255), wrong, mask))
        found[-1][0, :3] = 255
    return [prediction.astype(np.uint8) for prediction in found]


def _label_ids(classes: UInt8) -> UInt8:
    from cityscapesscripts.helpers.labels import trainId2label

    ids = [trainId2label[k].id for k in range(19)]
    return np.array([*ids, *[0] * 237], np.uint8)[classes]  # 0 is unlabelled


def _palette(path: Path, classes: UInt8) -> None:
    picture = Image.fromarray(classes)
    picture.putpalette(np.random.default_rng(3).integers(0, 256, 768).tolist())
    assert picture.mode == "P"
    picture.save(path.with_suffix(".png"))


FORMS: dict[str, tuple[Callable[[Path, UInt8], Any], str]] = {
    "grey": (
        lambda path, classes: Image.fromarray(classes).save(path.with_suffix(".png")),
        "class ids (grey PNG)",
    ),
    "palette": (
        _palette,
        "class ids (palette PNG); the palettes are not in the label table's colours, which would "
        "show it",
    ),
    "label ids": (
        lambda path, classes: cv2.imwrite(
            str(path.with_name(f"{path.name}_gtFine_labelIds.png")), _label_ids(classes)
        ),
        "the data set's label ids (grey PNG)",
    ),
    "16 bits": (
        lambda path, classes: cv2.imwrite(
            str(path.with_suffix(".png")), _label_ids(classes).astype(np.uint16)
        ),
        "the data set's label ids (16-bit PNG)",
    ),
    "npy": (
        lambda path, classes: np.save(path.with_suffix(".npy"), classes.astype(np.int64)),
        "class ids (.npy)",
    ),
    "npy in Fortran's order": (
        lambda path, classes: np.save(
            path.with_suffix(".npy"), np.asfortranarray(_label_ids(classes).astype(">i2"))
        ),
        "the data set's label ids (.npy)",
    ),
}


@pytest.fixture(scope="module")
def expected(city: City, predicted: list[UInt8]) -> dict[str, Any]:
    """Of the arrays themselves, without any file."""
    pairs = zip(city.masks, predicted, strict=True)
    scores = full_scores(city, (count(truth, found, 19) for truth, found in pairs))
    return {"metrics": scores.metrics(), **scores.arrays()}


def _scored(folder: Path, data: LabelMaps, ids: Ids | None = None) -> ScoredPredictions:
    return score_predictions(open_predictions(folder, data, ids), data)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_numbers(
    tmp_path: Path, city: City, predicted: list[UInt8], expected: dict[str, Any], name: str
) -> None:
    write, reading = FORMS[name]
    for id, classes in zip(city.ids, predicted, strict=True):
        write(tmp_path / id, classes)
    scores, _, form = _scored(tmp_path, city)
    assert form == reading
    assert scores.metrics() == expected["metrics"]
    for key, array in scores.arrays().items():
        assert array.dtype == expected[key].dtype
        np.testing.assert_array_equal(array, expected[key])


def _fill(folder: Path, city: City, *values: int) -> None:
    """An image of each value alone, void where the truth has it, under the image's id."""
    for id, mask, value in zip(city.ids, city.masks, values, strict=True):
        Image.fromarray(np.full_like(mask, value)).save(folder / f"{id}.png")


def test_values_that_fit_both_readings_are_class_ids_and_it_says_so(
    tmp_path: Path, city: City
) -> None:
    """7 is road as a label id and traffic sign as a class id."""
    _fill(tmp_path, city, 7, 7, 7)
    _, predictions, form = _scored(tmp_path, city)
    assert form.startswith("class ids (grey PNG), though they could be its label ids")
    assert "--ids label" in form
    assert (predictions(0, city.masks[0]) == 7).all()
    readings: tuple[tuple[Ids, int], ...] = (("train", 7), ("label", 0))
    for ids, value in readings:
        _, chosen, form = _scored(tmp_path, city, ids)
        assert "though" not in form
        assert (chosen(0, city.masks[0]) == value).all()


def test_a_reading_that_is_asked_for_is_the_only_one(tmp_path: Path, city: City) -> None:
    _fill(tmp_path, city, 26, 26, 26)  # car, as a label id
    with pytest.raises(PredictionError, match=r"value 26 in 960 pixels: class ids 0 to 18 are"):
        _scored(tmp_path, city, "train")
    _fill(tmp_path, city, 26, 34, 26)
    asked: tuple[tuple[Ids | None, str], ...] = (
        (None, "class ids 0 to 18 are needed, or ids"),
        ("label", "label table"),
    )
    for ids, says in asked:
        with pytest.raises(PredictionError, match=rf"{city.ids[1]}\.png has the value 34 .*{says}"):
            _scored(tmp_path, city, ids)


@pytest.mark.parametrize("name", ["palette", "label ids", "npy"])
def test_a_file_is_read_once(
    tmp_path: Path,
    city: City,
    predicted: list[UInt8],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    write, _ = FORMS[name]
    for id, classes in zip(city.ids, predicted, strict=True):
        write(tmp_path / id, classes)
    predictions, read = open_predictions(tmp_path, city), []

    def reading(path: Path) -> Any:
        read.append(path)
        return read_file(path)

    monkeypatch.setattr(predictions_module, "read_file", reading)
    score_predictions(predictions, city)
    assert read == predictions.paths


def test_what_the_first_file_does_not_tell_the_others_do(tmp_path: Path, city: City) -> None:
    """7 may be a class id; 26 is a label id alone, so that the first was road all along."""
    _fill(tmp_path, city, 7, 7, 26)
    scores, predictions, form = _scored(tmp_path, city)
    assert form == "the data set's label ids (grey PNG)"
    road, car = CITYSCAPES.names.index("road"), CITYSCAPES.names.index("car")
    for index, k in enumerate((road, road, car)):
        assert (predictions(index, city.masks[index]) == k).all()
    labelled = [int((mask != 255).sum()) for mask in city.masks]
    assert scores.confusion.sum(0)[[road, car]].tolist() == [sum(labelled[:2]), labelled[2]]
    _fill(tmp_path, city, 26, 7, 18)  # 18 is a void label id, and a class id
    assert sum(_scored(tmp_path, city)[0].unpredicted) == labelled[2]
    _fill(tmp_path, city, 7, 26, 99)
    with pytest.raises(
        PredictionError, match=rf"{city.ids[2]}\.png has the value 99 in 960 pixels"
    ):
        _scored(tmp_path, city)


def test_several_processes_count_as_one_does(tmp_path: Path) -> None:
    spec = SPEC.replace("test=3", "test=40")  # enough for processes to pay
    data = open_data(spec, "test")
    for index, id in enumerate(data.ids):
        classes = np.where(data.mask(index) == 255, 0, data.mask(index))
        classes[:20] = 0
        write_prediction(tmp_path / f"{id}.png", classes, data.labels.palette)
    told: list[tuple[int, int]] = []
    one, two = (
        score_predictions(open_predictions(tmp_path, data), data, jobs, lambda *n: told.append(n))
        for jobs in (1, 2)
    )
    assert told == [(done, 40) for done in range(1, 41)] * 2
    assert one.form == two.form == "class ids (palette PNG)"
    assert one.scores.metrics() == two.scores.metrics()
    np.testing.assert_array_equal(one.scores.confusion, two.scores.confusion)
    for name, array in one.scores.arrays().items():
        np.testing.assert_array_equal(two.scores.arrays()[name], array)
    worst = tmp_path / f"{data.ids[-1]}.png"
    for ids, says in (
        (np.zeros((4, 4)), "is 4x4 and"),
        (np.full((48, 64), 99), "has the value 99 in"),
    ):
        Image.fromarray(ids.astype(np.uint8)).save(worst)
        with pytest.raises(PredictionError, match=rf"{worst.name} {says}"):
            score_predictions(open_predictions(tmp_path, data), data, 2)


def test_what_is_written_is_a_palette_png(tmp_path: Path, city: City) -> None:
    path = tmp_path / "new" / "a.png"
    write_prediction(path, city.masks[0], CITYSCAPES.palette)
    with Image.open(path) as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(np.asarray(file), city.masks[0])
        road = city.masks[0] == CITYSCAPES.names.index("road")
        assert (np.asarray(file.convert("RGB"))[road] == (128, 64, 128)).all()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


def test_label_ids_far_apart_are_told_from_class_ids(tmp_path: Path) -> None:
    class Far(LabelMaps):
        labels = LabelSet(
            (
                Label(100, 0, "near", (1, 0, 0)),
                Label(900, 1, "far", (2, 0, 0)),
                Label(901, 1, "farther", (3, 0, 0)),
            )
        )

    data = Far([np.array([[0, 1], [1, 1]], np.uint8)])
    np.save(tmp_path / "image0.npy", np.array([[100, 900], [901, 900]]))
    assert score_folder(tmp_path, data).metrics().miou == 1.0
    np.save(tmp_path / "image0.npy", np.array([[0, 900], [901, 900]]))  # a bit of both
    with pytest.raises(PredictionError, match="value 900 in 2 pixels"):
        score_folder(tmp_path, data)


def test_files_are_found_by_the_longest_id_that_begins_their_names(tmp_path: Path) -> None:
    data = LabelMaps([np.full((2, 2), k, np.uint8) for k in range(4)])
    data.ids = ["a", "a_1", "a.b", "c"]
    names = ["a_pred.png", "a_1.png", "a.b_leftImg8bit.png", "c.v2.PNG"]
    for mask, name in zip(data.masks, names, strict=True):
        Image.fromarray(mask).save(tmp_path / name)
    for clutter in (".c.png", "metrics.json", "log.txt", "Thumbs.db", "c.jpg"):
        (tmp_path / clutter).write_bytes(b"nothing")
    (tmp_path / "c_more.png").mkdir()
    paths = open_predictions(tmp_path, data).paths
    assert [path.name for path in paths] == names


def test_the_folder_of_a_trial_is_as_good_as_its_predictions(tmp_path: Path) -> None:
    data = LabelMaps([np.zeros((2, 2), np.uint8)])
    (tmp_path / "predictions").mkdir()
    (tmp_path / "picture.png").write_bytes(b"of something else")
    Image.fromarray(data.masks[0]).save(tmp_path / "predictions" / "image0.png")
    assert score_folder(tmp_path, data).metrics().miou == 1.0


def _cut(path: Path, bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:bytes])


def _as_npy(path: Path, array: Any, **options: Any) -> None:
    path.unlink()
    np.save(path.with_suffix(".npy"), array, **options)


def _convert(path: Path, mode: str) -> None:
    Image.open(path).convert(mode).save(path)


def _set(path: Path, value: int) -> None:
    """Some pixels of the picture, which are not void."""
    with Image.open(path) as file:
        ids = np.array(file)
    ids[20, :5] = value
    Image.fromarray(ids).save(path)


ZEROS = np.zeros((48, 64), np.uint8)
FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: p.unlink(), "lacks 1 of 3 predictions, the first"),
    "extra": (
        lambda p: Image.fromarray(ZEROS).save(p.with_name("other_id.png")),
        "has files of no image of the split (1, the first other_id.png): name",
    ),
    "twice": (
        lambda p: np.save(p.with_suffix(".npy"), ZEROS),
        "has two files for the image",
    ),
    "size": (
        lambda p: Image.fromarray(ZEROS[:, :60]).save(p),
        "is 60x48 and its label 64x48: predict at the label's own size",
    ),
    "turned": (lambda p: Image.fromarray(ZEROS.T).save(p), "is 48x64 and its label 64x48"),
    "value": (lambda p: _set(p, 99), "has the value 99 in 5 pixels: class ids 0 to "),
    "cut": (lambda p: _cut(p, 80), "is damaged or no PNG: write it again"),
    "empty file": (lambda p: _cut(p, 0), "is damaged or no PNG"),
    "JPEG": (
        lambda p: Image.fromarray(ZEROS).save(p, "JPEG"),
        "is no PNG but JPEG",
    ),
    "RGB": (lambda p: _convert(p, "RGB"), "has mode RGB: one channel of ids is needed"),
    "RGBA": (lambda p: _convert(p, "RGBA"), "has mode RGBA: one channel"),
    "LA": (lambda p: _convert(p, "LA"), "has mode LA: one channel"),
    "1 bit": (lambda p: _convert(p, "1"), "has mode 1: one channel"),
    "float": (lambda p: _as_npy(p, ZEROS.astype(float)), "holds float64 of shape (48, 64)"),
    "bool": (lambda p: _as_npy(p, ZEROS > 0), "holds bool of shape (48, 64)"),
    "logits": (lambda p: _as_npy(p, ZEROS[None]), "holds uint8 of shape (1, 48, 64)"),
    "negative": (lambda p: _as_npy(p, ZEROS - np.int64(1)), "has the value -1 in 3072 pixels"),
    "pickle": (
        lambda p: _as_npy(p, np.array([{}], object), allow_pickle=True),
        "is damaged or no .npy of numbers",
    ),
    "90 TiB": (
        lambda p: _promise(p, (10**7, 10**7)),
        "is damaged or no .npy of numbers",
    ),
    "more than there are": (
        lambda p: _promise(p, (2**40, 2**40)),
        "is damaged or no .npy of numbers",
    ),
    "npy cut": (
        lambda p: _promise(p, (48, 64)),
        "is damaged or no .npy of numbers",
    ),
    "a palette against the table": (
        lambda p: _swapped(p),
        "has a palette that contradicts the label table",
    ),
    "no npy": (
        lambda p: p.rename(p.with_suffix(".npy")),
        "is damaged or no .npy of numbers",
    ),
}


def _promise(path: Path, shape: tuple[int, int]) -> None:
    """A .npy whose header is of more than the 100 bytes that follow."""
    path.unlink()
    with path.with_suffix(".npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(100))


def _swapped(path: Path) -> None:
    """In the label table's colours, of which two have changed their places."""
    colours = np.frombuffer(open_data(SPEC, "test").labels.palette, np.uint8).reshape(-1, 3).copy()
    colours[[0, 1]] = colours[[1, 0]]
    picture = Image.fromarray(np.asarray(Image.open(path)))
    picture.putpalette(colours.ravel().tolist())
    picture.save(path)


def _oracle(folder: Path) -> list[Path]:
    """True labels, with class 0 at void."""
    data = open_data(SPEC, "test")
    folder.mkdir()
    paths = [folder / f"{id}.png" for id in data.ids]
    for index, path in enumerate(paths):
        Image.fromarray(np.where(data.mask(index) == 255, 0, data.mask(index))).save(path)
    return paths


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(tmp_path: Path, fault: str) -> None:
    spoil, says = FAULTS[fault]
    paths = _oracle(tmp_path / "p")
    spoil(paths[1])
    with pytest.raises(PredictionError) as caught:
        score_folder(tmp_path / "p", open_data(SPEC, "test"))
    line = str(caught.value)
    assert says in line and ". " not in line and not line.endswith(".") and "\n" not in line
    assert str(tmp_path / "p") in line


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (None, "no folder of predictions at"),
        ([], "holds no PNG and no .npy file: name the folder that does"),
        ([".image.png", "log.txt", "seed0"], "holds no PNG and no .npy file"),
    ],
)
def test_a_folder_of_nothing_is_one_sentence(
    tmp_path: Path, files: list[str] | None, says: str
) -> None:
    if files is not None:
        (tmp_path / "p").mkdir()
        for name in files:
            (tmp_path / "p" / name).write_text("")
    with pytest.raises(PredictionError, match=says):
        score_folder(tmp_path / "p", open_data(SPEC, "test"))


def test_names_are_one_in_both_normal_forms_and_clutter_is_passed_over(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "서울_é") for form in ("NFC", "NFD"))
    assert nfc != nfd
    for there, asked in ((nfd, nfc), (nfc, nfd)):
        folder = tmp_path / str(there == nfc)
        (folder / "@eaDir").mkdir(parents=True)
        for name in (f"{there}.png", f"._{there}.png", ".DS_Store", "Thumbs.db", ".a.png.x"):
            (folder / name).touch()
        assert find_files(folder, [asked]) == [folder / f"{there}.png"]
        (folder / f"{asked}.npy").touch()
        with pytest.raises(PredictionError, match="two files for the image"):
            find_files(folder, [asked])
    (folder / f"{asked}.npy").rename(folder / f"{asked}.png")
    with pytest.raises(PredictionError, match=r"in two normal forms of Unicode, '\\u1109"):
        find_files(folder, [asked])
