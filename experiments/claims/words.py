"""What the study says, in English and in Korean: the lecture was given in Korean."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from experiments.claims.registration import Budget, Quantity

Language = Literal["en", "ko"]
Outcome = Literal["supported", "contradicted", "no difference", "cannot be told"]
LackingKind = Literal[
    "diverged", "at the prior", "no common seed", "no field", "nothing shown", "one seed",
    "few blocks",
]  # fmt: skip
LANGUAGES: tuple[Language, ...] = ("en", "ko")


class Text(NamedTuple):
    """The same in both languages."""

    en: str
    ko: str

    def __call__(self, language: Language, **values: object) -> str:
        return (self.en if language == "en" else self.ko).format(**values)


OUTCOMES: Mapping[Outcome, Text] = {
    "supported": Text("supported", "지지됨"),
    "contradicted": Text("contradicted", "반박됨"),
    "no difference": Text("no difference within {margin}", "{margin} 이내에서 차이 없음"),
    "cannot be told": Text(
        "cannot be told with this much data", "이 정도의 데이터로는 판단할 수 없음"
    ),
}
QUANTITIES: Mapping[Quantity, Text] = {
    "miou": Text("mIoU", "mIoU"),
    "boundary_gain": Text(
        "mIoU within 3 px of a boundary minus beyond",
        "mIoU(경계 3픽셀 이내 − 그 밖)",
    ),
    "boundary_iou": Text("Boundary IoU", "Boundary IoU"),
    "thin_recall": Text("recall of objects at most 4 px wide", "폭 4픽셀 이하인 객체의 재현율"),
    "field_radius": Text("radius of the effective receptive field", "유효 수용 영역의 반지름"),
}
BUDGETS: Mapping[Budget, Text] = {
    "macs": Text("at equal multiply-adds", "동일한 곱셈-누산(MAC) 횟수에서"),
    "seconds": Text("at equal training seconds", "동일한 학습 시간에서"),
}
LACKING: Mapping[LackingKind, Text] = {
    "diverged": Text(
        "{model} did not train, seed {seed}: {failure}",
        "{model}: 시드 {seed}에서 학습되지 않음, {failure}",
    ),
    "at the prior": Text(
        "{model} did not train, seed {seed} reaches {miou} % mIoU, and {prior} % can be had "
        "without looking at an image",
        "{model}: 시드 {seed}에서 학습되지 않음, mIoU {miou} %이며 이미지를 보지 않고도 "
        "{prior} %를 얻음",
    ),
    "no common seed": Text("no seed of both has finished", "둘 다 끝난 시드가 없음"),
    "no field": Text(
        "no seed of both has its receptive field measured",
        "둘 다 수용 영역을 측정한 시드가 없음",
    ),
    "nothing shown": Text("the images show nothing of it", "이미지에 해당하는 픽셀이 없음"),
    "one seed": Text(
        "only 1 seed: what new training runs would give needs 2 or more",
        "시드가 1개뿐임: 새로운 학습에 대해 말하려면 2개 이상이 필요함",
    ),
    "few blocks": Text(
        "only {blocks} independent blocks of images: an interval needs {needed}",
        "독립된 이미지 블록이 {blocks}개뿐임: 신뢰구간에는 {needed}개가 필요함",
    ),
}
POINTS = Text("{value} points", "{value}%p")
RATIO = Text("{value} times", "{value}배")
# What the registration says in English.
SAYS_KO: Mapping[str, str] = {
    "C1": "1/4 해상도를 유지하면 예측이 위치에 더 민감해진다.",
    "C2": "병렬로 둔 저해상도 스트림은 적은 비용으로 넓은 수용 영역을 얻는다.",
    "C3": "융합을 반복하는 것이 중요하다.",
    "C4": "고해상도에서 저해상도로 내려갈 때 스트라이드 합성곱은 풀링이나 보간보다 적게 잃는다.",
    "C5": "업샘플링 전에 둔 1x1 합성곱은 업샘플링 후에 둔 것과 같고 비용은 더 적다.",
    "C6": "모든 스트림을 연결(concatenation)하는 V2가 스트림 하나만 쓰는 V1보다 낫다.",
    "C7": "해상도를 다시 높일 때 전치 합성곱이 쌍선형 보간보다 낫다.",
    "C8": "DeepLabv3+의 저수준 스킵 연결은 잃어버린 세부 정보를 되살린다.",
    "C9": "HRNetV2는 mIoU와 비용의 파레토 프런티어에 있다.",
}
SUPPORTED_KO: Mapping[str, str] = {
    "C1": "동일한 곱셈-누산 횟수와 동일한 학습 시간 모두에서, HRNetV2가 같은 부품으로 만든 "
    "U-Net보다 앞서는 폭이 경계 3픽셀 이내에서 그 밖에서보다 크다.",
    "C2": "학습 후 기울기 에너지의 95 %를 담는 반지름이, 동일한 곱셈-누산 횟수에서 스트림이 하나일 "
    "때보다 넷일 때 더 크다.",
    "C3": "융합 여덟 번을 모두 할 때의 mIoU가 마지막 한 번만 할 때보다 높다.",
    "C4": "스트라이드 합성곱을 쓸 때의 mIoU가 최대 풀링을 쓸 때보다 높고, 쌍선형 보간을 "
    "쓸 때보다도 높다.",
    "C6": "V2의 mIoU가 V1의 mIoU보다 높다.",
    "C7": "U-Net과 DilatedNet 모두에서 전치 합성곱을 쓸 때의 mIoU가 더 높다. 강의는 승자를 말하지 "
    "않는다. 이 방향은 이 연구가 정한 것이므로, 반박됨은 보간이 더 낫다는 뜻이다.",
    "C8": "스킵 연결이 있는 DeepLabv3+가 앞서는 폭이 경계 3픽셀 이내에서 그 밖에서보다 크다.",
}
