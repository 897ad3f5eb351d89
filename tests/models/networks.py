"""Small networks of every file of `models`, by name, for tests of several folders."""

# One small network of every file, for what does not depend on the size.
SMALL = [
    "hrnetv2_w18_small_v1",
    "hrnetv2_w18:width=4",
    "hrnetv1_w18:width=4",
    "hrnetv2_w18_ocr:width=4",
    "unet:width=4",
    "deeplabv3p:trunk=mobilenetv2_100",
    "deeplabv3p_os8:trunk=mobilenetv2_100",
    "deeplabv3p:trunk=resnet18:width=8",
    "deeplabv3p_x65:width=4",
    "dilated_resnet:trunk=resnet18:width=8",
    "deeplabv3:trunk=resnet18:width=8",
    "pspnet:trunk=resnet18d:width=8",
    "unetpp:trunk=resnet18:width=8",
    "resunet:width=4",
    "resunet:width=4:stride=1",
    "segnet:width=4",
    "deconvnet:width=4",
    "dilatednet:width=4",
    "deeplabv1:width=4",
    "ddrnet23_slim:width=4",
    "pidnet_s:width=4",
    "pidnet_l:width=4",
    "litehrnet18:width=4",
]

# Networks of the table whose size is not the point of a test, and the narrow one that stands there
# for all of their kind: they differ in their width or their end alone.
NARROW = {
    **{
        f"{kind}_w{width}{end}": f"{kind}_w18{end}:width=8"
        for kind, end in (("hrnetv1h", ""), ("hrnetv2", "_ocr"))
        for width in (18, 32, 48)
    },
    **{
        name: f"{name}:width=8"
        for name in ("ddrnet23", "ddrnet39", "pidnet_m", "pidnet_l", "litehrnet30")
    },
}

# One of every file that is wide enough to learn two images by heart.
LEARNERS = [
    "hrnetv2_w18_small_v1",
    "hrnetv2_w48_ocr:width=8",
    "unet:width=16",
    "deeplabv3p:trunk=mobilenetv2_100",
    "dilated_resnet:trunk=resnet18:width=16",
    "deeplabv3:trunk=resnet18:width=16",
    "pspnet:trunk=resnet18d:width=16",
    "unetpp:trunk=resnet18:width=16",
    "resunet:width=16",
    "segnet:width=16",
    "deconvnet:width=16",
    "dilatednet:width=8",
    "deeplabv1:width=16",
    "ddrnet23_slim:width=16",
    "pidnet_s:width=16",
    "litehrnet18",
    "smp/fpn/resnet18",
]

# One of every class with heads that only training uses.
HEADED = [
    "deeplabv3:trunk=resnet18:width=8",
    "pspnet:trunk=resnet18d:width=8",
    "ddrnet23_slim:width=4",
    "pidnet_s:width=4",
]
