"""What each network of the study is, in a few words of both languages."""

from collections.abc import Mapping

from experiments.claims.words import Text

# By registered name; at both budgets it is the same network, of another width.
NETWORK_WORDS: Mapping[str, Text] = {
    "hrnetv2": Text(
        "HRNetV2 of full depth: four streams, eight fusions, strided convolutions on the way down, "
        "all streams concatenated",
        "본래 깊이의 HRNetV2: 스트림 네 개, 융합 여덟 번, 내려갈 때 스트라이드 합성곱, 모든 "
        "스트림을 연결",
    ),
    "resunet": Text(
        "a U-Net made of HRNet's stem, blocks and head",
        "HRNet의 스템, 블록, 헤드로 만든 U-Net",
    ),
    "streams1": Text("HRNetV2 with the stream at 1/4 alone", "1/4 스트림만 있는 HRNetV2"),
    "streams2": Text(
        "HRNetV2 with the two finest streams", "해상도가 높은 두 스트림만 있는 HRNetV2"
    ),
    "streams3": Text(
        "HRNetV2 with the three finest streams", "해상도가 높은 세 스트림만 있는 HRNetV2"
    ),
    "fusion-none": Text("HRNetV2 without any fusion", "융합이 없는 HRNetV2"),
    "fusion-final": Text(
        "HRNetV2 with the last of its eight fusions alone",
        "여덟 번의 융합 중 마지막 한 번만 하는 HRNetV2",
    ),
    "fusion-across": Text(
        "HRNetV2 with a fusion at the end of each stage, three of eight",
        "여덟 번의 융합 중 각 스테이지 끝의 세 번만 하는 HRNetV2",
    ),
    "down-maxpool": Text(
        "HRNetV2 whose fusions go down by max-pooling",
        "융합할 때 최대 풀링으로 내려가는 HRNetV2",
    ),
    "down-bilinear": Text(
        "HRNetV2 whose fusions go down by bilinear interpolation",
        "융합할 때 쌍선형 보간으로 내려가는 HRNetV2",
    ),
    "hrnetv1": Text(
        "HRNetV1: the head sees the stream at 1/4 alone", "HRNetV1: 헤드가 1/4 스트림만 봄"
    ),
    "hrnetv1h": Text(
        "HRNetV1h: as V1, with a head as wide as V2's", "HRNetV1h: V1과 같고 헤드의 폭은 V2와 같음"
    ),
    "hrnetv2-ocr": Text(
        "HRNetV2 with object-contextual representations",
        "객체 맥락 표현(OCR)을 더한 HRNetV2",
    ),
    "unet": Text("U-Net, up by transposed convolution", "전치 합성곱으로 올라오는 U-Net"),
    "unet-bilinear": Text("U-Net, up by bilinear interpolation", "쌍선형 보간으로 올라오는 U-Net"),
    "unetpp": Text("UNet++", "UNet++"),
    "segnet": Text(
        "SegNet, up by the remembered places of maxima", "기억한 최댓값 위치로 언풀링하는 SegNet"
    ),
    "deconvnet": Text("DeconvNet", "DeconvNet"),
    "dilatednet": Text(
        "DilatedNet with batch norm, up by bilinear interpolation",
        "배치 정규화를 쓰고 쌍선형 보간으로 올라오는 DilatedNet",
    ),
    "dilatednet-transposed": Text(
        "DilatedNet with batch norm, up by transposed convolution",
        "배치 정규화를 쓰고 전치 합성곱으로 올라오는 DilatedNet",
    ),
    "front-end": Text("dilatednet without its context module", "컨텍스트 모듈이 없는 dilatednet"),
    "front-end-transposed": Text(
        "dilatednet-transposed without its context module",
        "컨텍스트 모듈이 없는 dilatednet-transposed",
    ),
    "deeplabv1": Text(
        "DeepLabv1 with batch norm, without CRF", "배치 정규화를 쓰고 CRF가 없는 DeepLabv1"
    ),
    "deeplabv3": Text("DeepLabv3", "DeepLabv3"),
    "deeplabv3p": Text(
        "DeepLabv3+, whose decoder sees the map at 1/4", "디코더가 1/4 특징 맵을 보는 DeepLabv3+"
    ),
    "deeplabv3p-no-skip": Text(
        "DeepLabv3+ whose decoder does not see it", "디코더가 그 특징 맵을 보지 않는 DeepLabv3+"
    ),
    "pspnet": Text("PSPNet", "PSPNet"),
}
