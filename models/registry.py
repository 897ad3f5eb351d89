"""The networks by name. A new one is one file and one line here; nothing here imports torch."""

import difflib
from collections.abc import Iterable

MIN_SIDE = 33  # pixels of an image: five halvings leave two, of which batch norm has a variance

MODELS = {
    "hrnet": "models.hrnet:hrnetv2_w48",
    "hrnetv2_w18_small_v1": "models.hrnet:hrnetv2_w18_small_v1",
    "hrnetv2_w18_small_v2": "models.hrnet:hrnetv2_w18_small_v2",
    "hrnetv2_w18": "models.hrnet:hrnetv2_w18",
    "hrnetv2_w32": "models.hrnet:hrnetv2_w32",
    "hrnetv2_w40": "models.hrnet:hrnetv2_w40",
    "hrnetv2_w48": "models.hrnet:hrnetv2_w48",
    "hrnetv1_w18": "models.hrnet:hrnetv1_w18",
    "hrnetv1_w32": "models.hrnet:hrnetv1_w32",
    "hrnetv1_w48": "models.hrnet:hrnetv1_w48",
    "hrnetv1h_w18": "models.hrnet:hrnetv1h_w18",
    "hrnetv1h_w32": "models.hrnet:hrnetv1h_w32",
    "hrnetv1h_w48": "models.hrnet:hrnetv1h_w48",
    "hrnetv2_w18_ocr": "models.hrnet_ocr:hrnetv2_w18_ocr",
    "hrnetv2_w32_ocr": "models.hrnet_ocr:hrnetv2_w32_ocr",
    "hrnetv2_w48_ocr": "models.hrnet_ocr:hrnetv2_w48_ocr",
    "unet": "models.unet:unet",
    "deeplabv3p": "models.deeplabv3p:deeplabv3p",
    "deeplabv3p_os8": "models.deeplabv3p:deeplabv3p_os8",
    "deeplabv3p_x65": "models.deeplabv3p:deeplabv3p_x65",
    "dilated_resnet": "models.dilated_resnet:dilated_resnet",
    "deeplabv3": "models.deeplabv3:deeplabv3",
    "pspnet": "models.pspnet:pspnet",
    "unetpp": "models.unetpp:unetpp",
    "resunet": "models.resunet:resunet",
    "segnet": "models.segnet:segnet",
    "deconvnet": "models.deconvnet:deconvnet",
    "dilatednet": "models.dilatednet:dilatednet",
    "deeplabv1": "models.deeplabv1:deeplabv1",
    "ddrnet23_slim": "models.ddrnet:ddrnet23_slim",
    "ddrnet23": "models.ddrnet:ddrnet23",
    "ddrnet39": "models.ddrnet:ddrnet39",
    "pidnet_s": "models.pidnet:pidnet_s",
    "pidnet_m": "models.pidnet:pidnet_m",
    "pidnet_l": "models.pidnet:pidnet_l",
    "litehrnet18": "models.litehrnet:litehrnet18",
    "litehrnet30": "models.litehrnet:litehrnet30",
}

# Networks named by what they are made of: `smp/fpn/resnet34`.
FAMILIES = {"smp": "models.smp:smp"}

# Features without a head, by name and width: `hrnetv2p_w32`.
BACKBONES = {
    "hrnetv1": "models.hrnet_backbone:hrnetv1",
    "hrnetv2": "models.hrnet_backbone:hrnetv2",
    "hrnetv2p": "models.hrnet_backbone:hrnetv2p",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest match and the list."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(known) or 'none'}"
