"""The recipes, each a function whose docstring says what it is for, its time and what to expect.

A single value is changed for one run with `--set lr=0.02`, and shows in the recipe's name.
"""

import dataclasses
from collections.abc import Callable

from experiments.trials.recipe import Recipe

__all__ = [
    "RECIPES", "Recipe", "ade20k", "camvid", "camvid_fair", "camvid_lab", "camvid_quick",
    "cityscapes", "cityscapes_ocr", "cityscapes_ohem", "demo", "segformer_ade20k", "smoke",
    "voc2012",
]  # fmt: skip


def smoke() -> Recipe:
    """A dozen steps on tiny images: that it all runs.

    Command: `python -m experiments.compare --recipe smoke --models unet:width=8`
    Hardware and time: 2 CPU cores, about 15 seconds a network.
    Expected: no ranking; twelve steps teach no network anything, and the answer says so.
    """
    return Recipe(
        name="smoke",
        data="streets:height=48:width=64:train=24:val=4:test=6",
        crop=(48, 64),
        batch=4,
        steps=12,
        lr=0.01,
        val_every=6,
        precision="32-true",
    )


def demo() -> Recipe:
    """The default: procedural streets, on two CPU cores.

    Paper: none. As many steps as seven minutes hold; fp32, as many CPUs only emulate bf16, which
    made a step five to ten times as long. Classes weigh the inverse square root of their share of
    the training pixels (over those pixels, 1 on average): with equal weights so few steps teach
    nothing about the six classes that have 2 or 3 % each.
    Command: `python -m experiments.compare`
    Hardware and time: 2 CPU cores with AVX2, under 7 minutes for the three networks.
    Expected: each network 10 points and more above the position prior, and no ranking: so short a
        training shows that all works and that they learn, not which is better, and the answer
        begins by saying so. Eight validations of 8 images show it, a fifteenth of training's MACs.
    """
    return Recipe(
        name="demo",
        data="streets:height=96:width=128:val=8:test=60",
        crop=(96, 128),
        batch=4,
        steps=80,
        lr=0.07,
        val_every=10,
        scale=(1.0, 1.0),
        class_weights=(0.83, 0.68, 2.67, 0.69, 1.13, 1.09, 2.85, 2.21, 2.11, 2.62, 2.94),
        precision="32-true",
    )


def camvid_quick() -> Recipe:
    """CamVid from scratch, for small networks on a CPU.

    Paper: none; crop, batch and length are what two cores can do in an evening.
    Command: `python -m experiments.compare --recipe camvid-quick --data-root CamVid
        --models hrnetv2_w18_small_v1,deeplabv3p:trunk=mobilenetv2_100,unet:width=9`
    Hardware and time: 2 CPU cores with bf16 instructions, about 100 minutes for the three with
        `--jobs 2`; without them `--set precision=32-true`, over three hours.
    Expected: test mIoU, one seed: hrnetv2_w18_small_v1 52.2, deeplabv3p:trunk=mobilenetv2_100
        50.0, unet:width=9 43.8.
    """
    return Recipe(
        name="camvid-quick",
        data="camvid",
        crop=(240, 320),
        batch=8,
        steps=4000,
        lr=0.05,
        weight_decay=5e-4,
        precision="bf16-mixed",
    )


def camvid() -> Recipe:
    """CamVid from scratch, a full schedule for one GPU.

    Paper: the optimiser and schedule of HRNet (arXiv 1908.07919, section 5) at the size and
    length that careful from-scratch work on these 367 images uses.
    Command: `python -m experiments.compare --recipe camvid --data-root CamVid`
    Hardware and time: one GPU; not run yet, so no time is stated.
    Expected: 60 to 67 mIoU on test for a good network from scratch (a judgement from published
        from-scratch rows, 58.9 to 66.9, not a measurement).
    """
    return Recipe(
        name="camvid",
        data="camvid",
        crop=(360, 480),
        batch=16,
        steps=40_000,
        lr=0.02,
        photometric="colour-jitter",
        crop_on="auto",
        val_every=1000,
        precision="bf16-mixed",
    )


def camvid_fair() -> Recipe:
    """CamVid, short, as CNNs and transformers both train.

    Paper: none; AdamW, a warm-up and a linear decay as SegFormer's. The rate is from a search, 150
    steps a candidate on train~rest and scored on train~held, whose mIoU was in % (the U-Net on
    EfficientNet-Lite0, then SegFormer-B0; lr and weight decay): 1e-3, 0.01: 21.1, 19.4; 3.2e-4,
    0.022: 19.8, 17.3; 3.2e-3, 0.0017: 22.0, 18.9; 1.8e-4, 0.0077: 18.8, not run. Both families are
    within a point of their best at 1e-3, which is between the two.
    Command: `python -m experiments.compare --recipe camvid-fair --data-root CamVid
        --models smp/unet/tu-tf_efficientnet_lite0,smp/segformer/mit_b0`
    Hardware and time: 6 to 9 minutes of training a network, on one core with bf16 instructions.
    Expected: test mIoU of seeds 0 and 1, too short to rank: deeplabv3p on EfficientNet-Lite0 24.9,
        24.7, and with `--set init=imagenet` 39.6, 30.0; smp/unet on it 23.6, 26.7, and 40.5, 41.4;
        smp/segformer/mit_b0 26.7, 25.7. What ImageNet weights are worth differs so much from seed
        to seed because of one run: after so few steps the statistics of batch norm in the head of
        DeepLabv3+ lag behind. SegFormer under SGD at camvid-quick's rate (`--set optimizer=sgd
        --set lr=0.05 --set weight_decay=5e-4`) 18.8, 16.8, where position alone gives 17.0.
    """
    return Recipe(
        name="camvid-fair",
        data="camvid",
        crop=(192, 256),
        batch=8,
        steps=400,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=0.01,
        no_decay=True,
        warmup=20,
        power=1.0,
        val_every=400,
        precision="bf16-mixed",
    )


def camvid_lab() -> Recipe:
    """CamVid from scratch, for the lecture's study.

    Paper: none. Fifty passes over the 367 training images in crops of an eighth of their size, so
    that a trial takes about ten minutes of one core; two at a time with a core each take two thirds
    of the time of one after the other with two. Networks whose papers train with an auxiliary head
    have it. The rate is from a search, 600 steps a candidate on train~rest and scored on
    train~held, whose mIoU was in % (hrnet:width=10, then unet:width=9): 0.025: 23.0, 17.8; 0.05:
    23.1, 19.7; 0.1: 21.4, 18.7.
    Command: `python -m experiments.compare --recipe camvid-lab --data-root CamVid --jobs 2
        --models hrnet:width=10,unet:width=9`; all of the study: `python -m experiments.lecture
        --run --ignore-kept --data-root CamVid --jobs 2`
    Hardware and time: CPU cores with bf16 instructions, 8 to 20 minutes of one core a trial.
    Expected: hrnet:width=10 32.6 % mIoU (five seeds), unet:width=9 32.5 % (three); all others in
        `experiments/results/lecture`. Most networks still learn at the last step.
    """
    return Recipe(
        name="camvid-lab",
        data="camvid",
        crop=(128, 160),
        batch=8,
        steps=2300,
        lr=0.05,
        weight_decay=5e-4,
        aux_weight=0.4,
        crop_on="device",
        val_every=460,
        precision="bf16-mixed",
    )


def cityscapes() -> Recipe:
    """The paper's.

    Paper: HRNet, arXiv 1908.07919, section 5 and Table III; class weights and the scale range are
    the official code's (0.5 to 2.1; the paper says 2).
    Command: `python -m experiments.compare --recipe cityscapes --models hrnet --devices 4
        --data-root CITYSCAPES`
    Hardware and time: the authors' 4 V100, 0.692 s a step (appendix C), so about 23 hours.
    Expected: mIoU on val 76.4 from scratch as here, 81.1 with `--set init=imagenet` (section 7).
    """
    return Recipe(
        name="cityscapes",
        data="cityscapes",
        crop=(512, 1024),
        batch=12,
        steps=120_000,
        lr=0.01,
        scale=(0.5, 2.1),
        bn_momentum=0.01,
        class_weights=(
            *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
            *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
        ),
        val_every=2000,
        test_split="val",
        precision="bf16-mixed",
    )


def cityscapes_ohem() -> Recipe:
    """The paper's with hard pixels alone.

    Paper: HRNet's official code (branch pytorch-v1.1), OHEM with a threshold of 0.9; its 131,072
    pixels are of the three crops of a GPU, so a third of them of each here.
    Command: `python -m experiments.compare --recipe cityscapes-ohem --models hrnet --devices 4
        --data-root CITYSCAPES --set init=imagenet`
    Hardware and time: as `cityscapes`, about 23 hours.
    Expected: mIoU on val 81.2 (the official README), 0.1 above `cityscapes`.
    """
    return dataclasses.replace(
        cityscapes(), name="cityscapes-ohem", loss="ohem", ohem_pixels=131_072 // 3
    )


def cityscapes_ocr() -> Recipe:
    """HRNet + OCR as its authors train it.

    Paper: OCR, arXiv 1909.11065, and HRNet's official code (branch HRNet-OCR): the recipe of
    `cityscapes` with 0.4 times the cross-entropy of the auxiliary logits and a batch-norm momentum
    of 0.1, without OHEM.
    Command: `python -m experiments.compare --recipe cityscapes-ocr --models hrnetv2_w48_ocr
        --devices 4 --data-root CITYSCAPES --set init=imagenet`
    Hardware and time: 4 V100 of the authors; no time is stated.
    Expected: mIoU on val 81.6 (HRNet, arXiv 1908.07919, Table III, and the branch's README).
    """
    return dataclasses.replace(cityscapes(), name="cityscapes-ocr", aux_weight=0.4, bn_momentum=0.1)


def ade20k() -> Recipe:
    """HRNet's on ADE20K.

    Paper: none has it; HRNet's official code (branch HRNet-OCR): 120 epochs of 20,210 images, OHEM
    with a threshold of 0.9 and 131,072 pixels of the four crops of a GPU. There images are first
    brought to a long side of 520 pixels; here the scale is of their own size.
    Command: `python -m experiments.compare --recipe ade20k --models hrnet --devices 4
        --data-root ADE20K --set init=imagenet`
    Hardware and time: 4 GPUs of the authors; no time is stated.
    Expected: mIoU on val 43.1 in one pass (the README of that branch).
    """
    return Recipe(
        name="ade20k",
        data="ade20k",
        crop=(520, 520),
        batch=16,
        steps=151_560,
        lr=0.02,
        weight_decay=1e-4,
        scale=(0.5, 1.6),
        loss="ohem",
        ohem_pixels=131_072 // 4,
        val_every=5000,
        test_split="val",
        precision="bf16-mixed",
    )


def voc2012() -> Recipe:
    """PASCAL VOC 2012 with SBD's labels, MMSegmentation's.

    Paper: none; MMSegmentation's schedule of 20,000 steps on crops of 512x512, four images a GPU,
    with an auxiliary head at 0.4 where a network has one. Its values of the optimiser are recalled
    and not confirmed; colours change by this project's jitter, not by its distortions.
    Command: `python -m experiments.compare --recipe voc2012 --models hrnet,pspnet,deeplabv3
        --devices 4 --data-root VOC2012 --set init=imagenet`
    Hardware and time: 4 GPUs there; no time is stated.
    Expected: mIoU on val of its networks: HRNetV2-W48 75.87, DeepLabv3 with ResNet-101 78.70 (its
        model zoo; its stems and heads are not quite these).
    """
    return Recipe(
        name="voc2012",
        data="voc2012",
        train_split="trainaug",
        crop=(512, 512),
        batch=16,
        steps=20_000,
        lr=0.01,
        weight_decay=5e-4,
        aux_weight=0.4,
        photometric="colour-jitter",
        val_every=2000,
        test_split="val",
        precision="bf16-mixed",
    )


def segformer_ade20k() -> Recipe:
    """SegFormer's on ADE20K.

    Paper: SegFormer, arXiv 2105.15203, section 4.1, with MMSegmentation's configuration of it:
    AdamW, a warm-up of 1,500 steps, a linear decay, ten times the rate in the head, no decay of
    norms (here of biases neither). The initial weights of its encoder, MiT, are timm's nowhere, so
    this starts from random ones.
    Command: `python -m experiments.compare --recipe segformer-ade20k --models smp/segformer/mit_b0
        --devices 4 --data-root ADE20K`
    Hardware and time: 8 V100 of the authors; no time is stated.
    Expected: below the 37.4 mIoU on val that MiT-B0 reaches from ImageNet weights (recalled from
        the paper's Table 1, not confirmed).
    """
    return Recipe(
        name="segformer-ade20k",
        data="ade20k",
        crop=(512, 512),
        batch=16,
        steps=160_000,
        optimizer="adamw",
        lr=6e-5,
        weight_decay=0.01,
        no_decay=True,
        head_lr=10.0,
        warmup=1500,
        power=1.0,
        photometric="colour-jitter",
        val_every=5000,
        test_split="val",
        precision="bf16-mixed",
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "smoke": smoke,
    "demo": demo,
    "camvid-quick": camvid_quick,
    "camvid": camvid,
    "camvid-fair": camvid_fair,
    "camvid-lab": camvid_lab,
    "cityscapes": cityscapes,
    "cityscapes-ohem": cityscapes_ohem,
    "cityscapes-ocr": cityscapes_ocr,
    "ade20k": ade20k,
    "voc2012": voc2012,
    "segformer-ade20k": segformer_ade20k,
}
