"""Published numbers: what a row of reference.csv may say, and some of them typed by hand."""

import csv
import math
import re

import pytest

from experiments.trials.protocols import parse_protocol
from experiments.trials.reference import PAPER_COLUMNS, REFERENCE, Published, published

COLUMNS = "model,method,metric,value,data,split,scales,flip,conditions,source,locator"
NETWORKS = (  # those that are here or come; `model` joins a row to one of them
    r"hrnetv2_w(18|32|40|48|18_small_v1|18_small_v2|48_ocr)|hrnetv1_\w+|unet|deeplabv3p"
    r"|deeplabv3p_os8|dilated_resnet|deconvnet|segnet|dilatednet|deeplabv1|deeplabv3|deeplabv3p_x65|unetpp|pspnet"
)
METRICS = {  # least and greatest value
    **dict.fromkeys(
        (
            "miou_percent",
            "pixel_accuracy_percent",
            "mean_accuracy_percent",
            "iiou_class_percent",
            "iou_category_percent",
            "iiou_category_percent",
            "dice_percent",
        ),
        (20.0, 100.0),  # a fraction by mistake is below
    ),
    "params_m": (1, 300),
    "paper_gflops_1024x2048": (10, 3000),
    "paper_gflops_473x473": (10, 500),
    "paper_gflops_480x480": (10, 500),
    "gmacs_1024x2048": (10, 3000),
    "gmacs": (10, 10_000),  # as published without a size; of all scales where there are several
    "fps": (1, 100),
    "train_seconds_per_step": (0.1, 10),
    "train_memory_gb": (1, 32),
    **{f"infer_seconds_bs{n}": (0.05, 4) for n in (1, 4, 8)},
    **{f"infer_memory_gb_bs{n}": (1, 32) for n in (1, 4, 8)},
}
ACCURACIES = {name for name in METRICS if name.endswith("_percent")}
DATA = {
    "cityscapes", "ade20k", "voc2012", "pascal_context_59", "pascal_context_60", "lip",
    "coco_stuff_10k", "camvid", "kitti", "drive",
}  # fmt: skip
EVALUATIONS = {  # of an accuracy; empty where the source that was read does not say
    "", "single scale, no flip", "flip", "multi-scale, flip", "no CRF", "with CRF",
    "with CRF-RNN",
}  # fmt: skip
ROWS = published()


def test_columns_and_plain_text() -> None:
    with REFERENCE.open(newline="") as file:
        header, *lines = list(csv.reader(file))
    assert ",".join(header) == COLUMNS
    assert len(lines) == len(ROWS) > 500
    for line in lines:
        assert len(line) == len(header), line
        assert line == [cell.strip() for cell in line], line
        assert re.fullmatch(r"\d+(\.\d+)?", line[3]), line


@pytest.mark.parametrize("metric", METRICS)
def test_values_are_in_the_range_of_their_metric(metric: str) -> None:
    least, greatest = METRICS[metric]
    values = [row.value for row in ROWS if row.metric == metric]
    assert values
    assert all(math.isfinite(value) and least <= value <= greatest for value in values)


def test_words_are_from_closed_sets() -> None:
    for row in ROWS:
        assert row.metric in METRICS, row
        assert row.data in DATA, row
        assert row.split in {"", "val", "test"}, row
        assert row.method and row.source and row.locator, row
        assert row.metric not in ACCURACIES or row.protocol in EVALUATIONS, row
        assert not re.match(r"params|paper_gflops", row.metric) or not row.protocol, row
        assert not re.match(r"fps|train|infer", row.metric) or row.protocol, row


def test_no_number_is_there_twice() -> None:
    keys = [
        (r.method, r.metric, r.data, r.split, r.protocol, r.source, r.locator) for r in ROWS
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_a_network_has_one_row_a_metric_and_its_cost() -> None:
    """What `published_cost`, `paper_table` and the report take for granted.

    Further results of the same network, by other code or on other data, leave `model` empty.
    """
    found: dict[str, list[str]] = {}
    for row in ROWS:
        if row.model:
            assert re.fullmatch(NETWORKS, row.model), row
            found.setdefault(row.model, []).append(row.metric)
    for metrics in found.values():
        assert len(set(metrics)) == len(metrics)
        assert {*PAPER_COLUMNS, "miou_percent"} <= set(metrics)
    for model in found:
        assert len({row.source for row in ROWS if row.model == model}) == 1


SINGLE, MULTI = "single scale, no flip", "multi-scale, flip"
HRNET, MMSEG = "arXiv 1908.07919", "MMSegmentation model zoo"


@pytest.mark.parametrize(
    ("method", "metric", "data", "split", "protocol", "source", "value"),
    [
        ("HRNetV2-W48", "miou_percent", "cityscapes", "val", SINGLE, HRNET, 81.1),
        ("HRNetV2-W48 + OCR", "paper_gflops_1024x2048", "cityscapes", "val", "", HRNET, 1206.3),
        ("PSPNet D-ResNet-101", "train_seconds_per_step", "cityscapes", "val",
         "4 V100, PyTorch 1.0, input 512x1024, batch 8", HRNET, 0.837),
        ("MobileNetV2Plus, distilled", "miou_percent", "cityscapes", "val", SINGLE,
         "HRNet-Semantic-Segmentation pytorch-v1.1", 74.5),
        ("HRNetV2-W48 + OCR, OHEM", "miou_percent", "ade20k", "val", MULTI,
         "HRNet-Semantic-Segmentation HRNet-OCR", 45.5),
        ("HRNetV2-W48, trainval", "iiou_category_percent", "cityscapes", "test", MULTI, HRNET,
         82.2),
        ("HRNetV2-W48", "miou_percent", "pascal_context_60", "val", MULTI, HRNET, 48.3),
        ("CE2P", "mean_accuracy_percent", "lip", "val", "flip", HRNET, 63.2),
        ("HRNetV2-W48, from scratch, final fusion only", "miou_percent", "cityscapes", "val", "",
         HRNET, 74.8),
        ("HRNetV1h-W18", "miou_percent", "pascal_context_59", "val", "", HRNET, 46.3),
        ("FCN HRNetV2p-W48, 160k iterations, crop 512x1024", "miou_percent", "cityscapes", "val",
         MULTI, MMSEG, 81.92),
        ("DeepLabV3+ R-101-D16-MG124, 80k iterations, crop 512x1024", "train_memory_gb",
         "cityscapes", "val", "maximum over 4 GPUs, batch 2 each", MMSEG, 9.9),
        ("DeepLabV3+ R-50, 80k iterations, crop 512x512", "fps", "ade20k", "val",
         "one V100, PyTorch 1.5", MMSEG, 21.01),
        ("FCN HRNetV2p-W18, 40k iterations, crop 512x512, VOC12 + aug", "miou_percent", "voc2012",
         "val", SINGLE, MMSEG, 72.9),
        ("U-Net, no pretraining, batch 4, 160k iterations, crop 512x1024", "miou_percent",
         "cityscapes", "val", SINGLE, "PaddleSeg", 65.0),
        ("DeepLabv3+ Xception-65 OS8", "gmacs", "cityscapes", "val", MULTI,
         "TensorFlow DeepLab model zoo", 8677.92),
        ("DeepLabv1 LargeFOV (3x3 rate 12) VGG16", "miou_percent", "voc2012", "val", "with CRF",
         "arXiv 1412.7062", 67.64),
        ("Dilated front end VGG16 + Large context, COCO", "miou_percent", "voc2012", "test",
         "with CRF-RNN", "arXiv 1511.07122", 75.3),
    ],
)  # fmt: skip
def test_numbers_typed_by_hand(
    method: str, metric: str, data: str, split: str, protocol: str, source: str, value: float
) -> None:
    expected = (method, metric, data, split, protocol, source)

    def key(r: Published) -> tuple[str, ...]:
        return (r.method, r.metric, r.data, r.split, r.protocol, r.source)

    assert [row.value for row in ROWS if key(row) == expected] == [value]


@pytest.mark.parametrize(
    ("protocol", "ours"),
    [
        (SINGLE, ["single", "window=96x96"]),
        (MULTI, ["multi-scale", "multi-scale-7"]),
        ("flip", ["flip", "multi-scale", "multi-scale-7"]),  # of how many scales is not said
        ("", ["single", "flip", "scales=0.5", "multi-scale", "multi-scale-7", "window=96x96"]),
        ("no CRF", []),
    ],
)
def test_published_protocols_are_matched_by_what_they_say(protocol: str, ours: list[str]) -> None:
    row = next(row for row in ROWS if row.protocol == protocol and row.metric in ACCURACIES)
    names = ("single", "flip", "scales=0.5", "multi-scale", "multi-scale-7", "window=96x96")
    assert [name for name in names if row.predicted_by(parse_protocol(name))] == ours
    assert row.predicted_by(None) == (not protocol)


def test_the_file_is_read_once() -> None:
    assert published() is published()
