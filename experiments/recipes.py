"""The recipes, each a function whose docstring says what it is for, its time and what to expect.

A single value is changed for one run with `--set lr=0.02`, and shows in the recipe's name.
"""

from collections.abc import Callable

from experiments.trials.recipe import Recipe

__all__ = ["RECIPES", "Recipe", "camvid", "camvid_quick", "cityscapes", "demo", "smoke"]


def smoke() -> Recipe:
    """A dozen steps on tiny images: that it all runs.

    Command: `python -m experiments.compare --recipe smoke --models unet:width=8`
    Hardware and time: 2 CPU cores, about 15 seconds a network.
    Expected: nothing; twelve steps teach no network anything.
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
        training shows that all works and that they learn, not which is better.
    """
    return Recipe(
        name="demo",
        data="streets:height=96:width=128:val=8:test=60",
        crop=(96, 128),
        batch=4,
        steps=80,
        lr=0.07,
        val_every=80,
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

    Command: `python -m experiments.compare --recipe camvid-fair --data-root CamVid
        --models smp/unet/tu-tf_efficientnet_lite0,smp/segformer/mit_b0`
    """
    return Recipe(
        name="camvid-fair",
        data="camvid",
        crop=(192, 256),
        batch=8,
        steps=600,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=0.01,
        no_decay=True,
        warmup=30,
        power=1.0,
        val_every=600,
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


RECIPES: dict[str, Callable[[], Recipe]] = {
    "smoke": smoke,
    "demo": demo,
    "camvid-quick": camvid_quick,
    "camvid": camvid,
    "camvid-fair": camvid_fair,
    "cityscapes": cityscapes,
}
