"""What papers print of their networks' cost, and why ours differs where it does."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.trials.network_name import check_network
from experiments.trials.reference import ALIASES, PAPER_COLUMNS, published_cost
from models import known_models

PAPER_SIZE, PAPER_CLASSES = (1024, 2048), 19  # of the HRNet paper's Table III

# By network, as far as the differences are explained.
DIFFERENCE_NOTES = {
    "hrnetv2_w40": "the authors' own code with 40 channels counts as here; the paper prints less "
    "in both columns, which no whole number of channels gives",
    "hrnetv2_w18": "nothing is printed at this size and for these classes",
    "hrnetv2_w32": "nothing is printed at this size and for these classes",
    **dict.fromkeys(
        ("hrnetv1_w18", "hrnetv1_w32", "hrnetv1_w48"),
        "the paper compares V1's accuracy (Fig. 10) and prints no cost",
    ),
    **dict.fromkeys(
        ("hrnetv1h_w18", "hrnetv1h_w32", "hrnetv1h_w48"),
        "the paper compares V1h's accuracy (Fig. 10) and prints no cost",
    ),
    "hrnetv2_w48_ocr": "70.37M and, of convolutions, 1206.37 GFLOPs, which the paper cuts to 70.3 "
    "and 1206.3; 2.38 more are the attention's matrix products, which its counter does not see",
    "hrnetv2_w18_ocr": "nothing is printed at this size and for these classes",
    "hrnetv2_w32_ocr": "nothing is printed at this size and for these classes",
    "deeplabv3p": "the published GFLOPs are those of stride 8, see deeplabv3p_os8; the parameters "
    "do not depend on the stride",
    "deeplabv3p_os8": "4.9 % below the published 1444.6 GFLOPs of DeepLabv3+, where the parameters "
    "agree; that figure fits no stride, and is probably not from that paper's own counter",
    "deeplabv3p_x65": "its paper prints no parameters, nor operations at this size",
    "unet": "its paper prints neither; these are its Fig. 1 with padding and batch norm",
    "segnet": "no printed figure known; with the 11 classes of its authors' file 29.45M",
    "deconvnet": "no printed figure known; with its paper's 21 classes 251.81M",
    "dilatednet": "no printed figure known; its front end with its paper's 21 classes is 134.37M, "
    "and the DeepLabv1 paper prints 134.3M for one with the same layers",
    "deeplabv1": "with its paper's 21 classes 20.51M, and 20.5M are printed there",
    "resunet": "this project's own, no paper's",
    **dict.fromkeys(
        ("ddrnet23_slim", "ddrnet23", "ddrnet39", "pidnet_s", "pidnet_l"),
        "not in the HRNet paper; parameters and multiply-adds are those of the official code",
    ),
    "pidnet_m": "parameters and multiply-adds are those of the official code; its paper has 34.4M "
    "(recalled, not confirmed), which no code gives",
    **dict.fromkeys(
        ("litehrnet18", "litehrnet30"),
        "its paper has 1.1M and 1.8M, and operations at 512x1024 (recalled, not confirmed)",
    ),
    "pspnet": "the row names no layers; 7x7 stem: 65.58M, 1896.9; auxiliary head counted: 68.07M, "
    "2021.8; pooled branches counted at 1/8: 65.71M, 2078; no form tried gives both figures",
    "unetpp": "the row names no layers; encoder channels in the nodes, as in "
    "segmentation-models-pytorch: 67.98M, 1856.7; the UNet++ authors' row widths: 53.34M, 1362.8; "
    "no form tried gives both figures",
}


@dataclass(frozen=True)
class PublishedFigure:
    """A printed figure beside ours, in the paper's unit.

    Attributes:
        metric: of `reference.csv`.
        value: as printed, to one decimal.
        ours: as counted here.
    """

    metric: str
    value: float
    ours: float

    @property
    def difference_percent(self) -> float:
        """By how much ours is above the printed one."""
        return 100 * (self.ours / self.value - 1)

    @property
    def same_digits(self) -> bool:
        return round(self.ours, 1) == self.value


def is_papers_setting(size: tuple[int, int], num_classes: int) -> bool:
    """Whether costs at (height, width) are those that the papers print."""
    return (size, num_classes) == (PAPER_SIZE, PAPER_CLASSES)


def published_figures(model: str, params: int, paper_gflops: float) -> tuple[PublishedFigure, ...]:
    """What is printed of a network at the paper's size and classes; empty where nothing is."""
    ours = dict(zip(PAPER_COLUMNS, (params / 1e6, paper_gflops), strict=True))
    return tuple(
        PublishedFigure(metric, value, ours[metric])
        for metric, value in published_cost(model).items()
        if metric in ours
    )


def difference_note(model: str) -> str | None:
    return DIFFERENCE_NOTES.get(ALIASES.get(model, model))


def without_aliases(names: Sequence[str]) -> list[str]:
    """The networks that `--models` names, all of them known, without aliases of one another."""
    every = [name for name in known_models() if "/" not in name]  # of families any may be named
    models = every if [*names] == ["all"] else [*names]
    for model in models:
        check_network(model)
    return [m for m in dict.fromkeys(models) if ALIASES.get(m) not in models]
