"""What the study says, in English and in Korean: the lecture was given in Korean."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from experiments.claims.contrasts import Outcome
from experiments.claims.registration import Budget, Quantity

Language = Literal["en", "ko"]
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
    "no difference": Text("no difference within {margin}", "{margin} 이내의 차이 없음"),
    "cannot be told": Text("cannot be told with this much data", "이 데이터로는 알 수 없음"),
}
QUANTITIES: Mapping[Quantity, Text] = {
    "miou": Text("mIoU", "mIoU"),
    "boundary_gain": Text(
        "mIoU within 3 px of a boundary minus beyond", "경계 3픽셀 이내 mIoU − 그 밖의 mIoU"
    ),
    "boundary_iou": Text("Boundary IoU", "Boundary IoU"),
    "thin_recall": Text("recall of objects at most 4 px wide", "폭 4픽셀 이하 물체의 재현율"),
    "field_radius": Text("radius of the effective receptive field", "유효 수용 영역의 반지름"),
}
BUDGETS: Mapping[Budget, Text] = {
    "macs": Text("at equal multiply-adds", "같은 곱셈-누산(MAC) 수에서"),
    "seconds": Text("at equal training seconds", "같은 학습 시간에서"),
}
POINTS = Text("{value} points", "{value}점")
RATIO = Text("{value} times", "{value}배")
