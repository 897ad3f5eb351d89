"""What mIoU would have been by other definitions: a paper's number may be any of them.

The right one is over the whole split: tp, fp and fn of a class summed over all pixels of all images
at the labels' own size, each image once, then the mean over the classes that occur in truth or
prediction, as in cityscapesScripts.
"""

import math

import numpy as np

from experiments.scoring.counts import Counts, class_iou, finite_mean, image_miou, outcomes

BATCH, PROCESSES = 8, 8  # the usual ones


def miou_variants(
    tp: Counts, fp: Counts, fn: Counts, quarter: Counts, matrix: Counts
) -> dict[str, float | None]:
    """mIoU by each wrong definition, a fraction; None where nothing is scored.

    mean of images: of each image's mIoU over its own classes (torchmetrics'
        `segmentation.MeanIoU`).
    mean of batches of 8: of each batch's mIoU, in order; a logged `Jaccard` that is averaged.
    absent class as 0: over all K classes (official HRNet, CSAIL's semantic-segmentation-pytorch).
    absent class as 1: over all K classes (smp's `iou_score` by its default).
    predicted but absent class left out: over the classes of the truth alone (detectron2).
    micro average: all classes pooled (torchmetrics' `JaccardIndex(average="micro")`).
    labels resized to 1/4: truth and prediction on every fourth pixel of every fourth row, where a
        network of output stride 4 may be scored. Thin things are lost in part.
    padded for 8 processes: the first images count twice, to make a multiple of 8 (torch's
        `DistributedSampler`).
    void as a class, not in the mean: void pixels are errors of what is predicted there (ESPNet's
        55.64 on CamVid, whose networks learn void as a class).
    void as a class of its own: in the mean, too, as one class more.
    predicted void left out: a pixel without a prediction is no error, so that a map gains by
        leaving out what is hard.

    Args:
        tp, fp, fn: (n, K) of each image, in the split's order.
        quarter: (3, K) tp, fp, fn of the resized labels over the split.
        matrix: (K + 1, K + 1) of the split, with void last.
    """
    images = np.stack([tp, fp, fn])  # (3, n, K)
    num = images.shape[1]
    total = images.sum(1)
    iou = class_iou(*total)
    batches = np.add.reduceat(images, np.arange(0, num, BATCH), axis=1)
    # Positions start over at the first image as often as needed.
    again = np.resize(np.arange(num), PROCESSES * math.ceil(num / PROCESSES))[num:]
    with_void = class_iou(*outcomes(matrix)) if total.any() else np.full(len(matrix), np.nan)
    in_truth = total[0] + total[2] > 0
    return {
        "mean of images": finite_mean(image_miou(*images)),
        f"mean of batches of {BATCH}": finite_mean(image_miou(*batches)),
        "absent class as 0": finite_mean(np.nan_to_num(iou, nan=0.0)) if total.any() else None,
        "absent class as 1": finite_mean(np.nan_to_num(iou, nan=1.0)) if total.any() else None,
        "predicted but absent class left out": finite_mean(iou[in_truth]),
        "micro average": finite_mean(class_iou(*total.sum(1, keepdims=True))),
        "labels resized to 1/4": finite_mean(class_iou(*quarter)),
        f"padded for {PROCESSES} processes": finite_mean(
            class_iou(*(total + images[:, again].sum(1)))
        ),
        "void as a class, not in the mean": finite_mean(with_void[:-1]),
        "void as a class of its own": finite_mean(with_void),
        "predicted void left out": finite_mean(class_iou(*outcomes(matrix[:-1, :-1]))),
    }
