"""Why a contrast has no difference or no interval, in Korean: the sentences come in English."""

import re

from experiments.claims.words import Language, Text

# What stands in braces may be one of these sentences again, or anybody's words, as of a failure.
_REASONS = (
    Text(
        "the width of {name} at equal seconds is not measured yet",
        "동일한 학습 시간에서 {name}의 폭을 아직 측정하지 않음",
    ),
    Text("{model} did not train, {why}", "{model}의 학습 실패, {why}"),
    Text(
        "seed {seed} reaches {miou} % mIoU, and {prior} % can be had without looking at an image",
        "시드 {seed}의 mIoU는 {miou} %이고 이미지를 보지 않아도 {prior} %는 얻음",
    ),
    Text("repeat {repeat} of {run}", "{run} (반복 {repeat})"),
    Text("seed {seed}: {why}", "시드 {seed}: {why}"),
    Text("no seed of both has finished", "둘 다 끝난 시드가 없음"),
    Text(
        "the receptive field of some of its trials is not measured",
        "일부 학습의 수용 영역을 측정하지 않음",
    ),
    Text("the images show nothing of it", "이미지에 해당하는 픽셀이 없음"),
    Text(
        "only 1 seed: what new training runs give needs 2 or more",
        "시드가 1개뿐임: 새로운 학습에 대해 말하려면 2개 이상이 필요함",
    ),
    Text(
        "only 1 seed: what new training runs would give needs 2 or more",
        "시드가 1개뿐임: 새로운 학습에 대해 말하려면 2개 이상이 필요함",
    ),
    Text(
        "only 1 independent block of images has labelled pixels: an interval needs {needed}",
        "레이블이 있는 독립된 이미지 블록이 1개뿐임: 신뢰구간에는 {needed}개가 필요함",
    ),
    Text(
        "only {n} independent blocks of images have labelled pixels: an interval needs {needed}",
        "레이블이 있는 독립된 이미지 블록이 {n}개뿐임: 신뢰구간에는 {needed}개가 필요함",
    ),
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text)))


_PATTERNS = tuple((_pattern(text.en), text.ko) for text in _REASONS)


def reason_words(reason: str, language: Language) -> str:
    """The reason in that language; one that is not known here stays as it is."""
    if language == "en":
        return reason
    for pattern, korean in _PATTERNS:
        match = pattern.fullmatch(reason)
        if match:
            parts = match.groupdict()
            return korean.format(**{k: reason_words(part, "ko") for k, part in parts.items()})
    return reason
