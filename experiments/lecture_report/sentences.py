"""Verdicts as sentences with their numbers, in either language."""

from experiments.claims.contrasts import Estimate
from experiments.claims.registration import FIELD_MARGIN, Claim, FrontClaim
from experiments.claims.verdicts import Verdict
from experiments.claims.words import (
    BUDGETS,
    OUTCOMES,
    QUANTITIES,
    Language,
    Text,
)
from experiments.costs.layer_order import LayerOrder
from experiments.lecture_report.estimate_words import (
    lacking_words,
    number,
    pair_words,
    quantity_words,
)

_DIFFERENCE = Text(
    "{pair}, {quantity} {budget}: {value} (95 % interval {low} to {high}; {seeds}; "
    "a true difference of {mdd} is found 4 times in 5)",
    "{pair}, {quantity}, {budget}: {value} (95 % 신뢰구간 {low} ~ {high}; {seeds}; "
    "실제 차이가 {mdd}이면 5번 중 4번 검출됨)",
)
_WITHOUT = Text(
    "{pair}, {quantity} {budget}: {value}, without an interval ({reason})",
    "{pair}, {quantity}, {budget}: {value}, 신뢰구간 없음 ({reason})",
)
_NOTHING = Text(
    "{pair}, {quantity} {budget}: no value ({reason})",
    "{pair}, {quantity}, {budget}: 값 없음 ({reason})",
)
_ORDER = Text(
    "The outputs differ by {difference} of their largest value with fixed statistics and by "
    "{batch} with a batch's own; {first} against {second} GMACs; {ratio} times the seconds (95 % "
    "interval {low} to {high})",
    "출력의 차이는 배치 정규화의 통계를 고정하면 최댓값의 {difference}, 배치의 통계를 쓰면 "
    "{batch}; {first} 대 {second} GMACs; 걸린 시간은 {ratio}배 (95 % 신뢰구간 {low} ~ {high})",
)
_SECONDS = Text(
    "{ratio} times the seconds [{low}, {high}]; outputs {difference} apart with fixed statistics, "
    "{batch} with a batch's own",
    "걸린 시간 {ratio}배 [{low}, {high}]; 출력의 차이는 통계를 고정하면 {difference}, 배치의 "
    "통계를 쓰면 {batch}",
)
_AT = Text("{said} {budget}", "{budget} {said}")
_SEEDS = Text("{n} seeds", "시드 {n}개")
_SEED = Text("1 seed", "시드 1개")
_NOT_YET = Text("not measured yet", "아직 측정하지 않음")
_UNTRAINED = Text(
    "cannot be told, as a network did not train", "학습되지 않은 네트워크가 있어 판단할 수 없음"
)
_BUDGETS_DIFFER = Text("cannot be told: {told}", "판단할 수 없음: {told}")
_ALONE = Text("{said} {budget} alone", "{budget}만 {said}")
_OF = Text(
    "the strongest of {num}, over which p is corrected",
    "상대 {num}개 중 가장 강한 것이며 p는 모두에 대해 보정함",
)
_SO_FAR = Text("so far, {n} of {of} seeds", "현재까지 시드 {of}개 중 {n}개")
_IN_PART = Text("so far, in part", "현재까지 일부만")
_MARGIN = Text("a factor of {value}", "{value}배")
_POINT = Text("a point", "1%p")


def outcome_words(verdict: Verdict, language: Language) -> str:
    """As `supported`, or `supported (so far, 2 of 3 seeds)`."""
    claim = verdict.claim
    margin = _POINT(language)
    if isinstance(claim, Claim) and claim.margin == FIELD_MARGIN:
        margin = _MARGIN(language, value=FIELD_MARGIN)
    if not verdict.started:
        return _NOT_YET(language)
    said = OUTCOMES[verdict.outcome](language, margin=margin)
    told = [(budget, one) for budget, one in verdict.by_budget if one != "cannot be told"]
    if verdict.lacks_training:
        said = _UNTRAINED(language)
    elif verdict.outcome == "cannot be told" and told:
        form = _ALONE if len(told) == 1 else _AT
        parts = [
            form(language, said=OUTCOMES[one](language, margin=margin), budget=BUDGETS[b](language))
            for b, one in told
        ]
        said = _BUDGETS_DIFFER(language, told=", ".join(parts))
    if verdict.complete:
        return said
    n, of = verdict.seeds
    alike = all(len(one.seeds) == n for one in verdict.primary if not one.untrained)
    return f"{said} ({_SO_FAR(language, n=n, of=of) if n and alike else _IN_PART(language)})"


def difference_words(one: Estimate, language: Language) -> str:
    """A contrast with its numbers."""
    contrast, found = one.contrast, one.difference
    names = {
        "pair": pair_words(one, language),
        "quantity": QUANTITIES[contrast.quantity](language),
        "budget": BUDGETS[contrast.budget](language),
    }
    if found is None:
        return _NOTHING(language, **names, reason=lacking_words(one.lacking, language))
    value = quantity_words(one, found.value, language)
    if found.low is None or found.high is None or one.mdd is None:
        return _WITHOUT(language, **names, value=value, reason=lacking_words(one.lacking, language))
    num = len(one.seeds)
    return _DIFFERENCE(
        language,
        **names,
        value=value,
        low=number(one, found.low),
        high=number(one, found.high),
        seeds=(_SEED if num == 1 else _SEEDS)(language, n=num),
        mdd=quantity_words(one, one.mdd, language),
    )


def order_words(order: LayerOrder, language: Language, form: Text = _ORDER) -> str:
    """What C5 measured."""
    return form(
        language,
        difference=f"{order.difference:.0e}",
        batch=f"{order.batch_difference:.1%}",
        first=f"{order.gmacs[0]:.1f}",
        second=f"{order.gmacs[1]:.1f}",
        ratio=f"{order.ratio:.2f}",
        low=f"{order.ratio_low:.2f}",
        high=f"{order.ratio_high:.2f}",
    )


def sentence(verdict: Verdict, language: Language) -> str:
    """The verdict with the numbers that decided it."""
    claim = verdict.claim
    if verdict.order is not None:
        rests = order_words(verdict.order, language)
    else:
        named = dict.fromkeys([*verdict.decisive, *(e for e in verdict.primary if e.untrained)])
        rests = "; ".join(difference_words(one, language) for one in named)
    said = f"{claim.key}: {outcome_words(verdict, language)}."
    return f"{said} {rests}." if rests and verdict.started else said


def brief_words(verdict: Verdict, language: Language) -> str:
    """What decided, as `a - b, mIoU: 2.1 points [1.0, 3.2]`, with budgets where these differ; of
    two orders of layers their seconds and outputs; empty where nothing is known."""
    if verdict.order is not None:
        return order_words(verdict.order, language, _SECONDS)
    budgets = {one.contrast.budget for one in verdict.primary}
    parts: dict[str, list[str]] = {}
    for one in verdict.decisive:
        if one.difference is None:
            continue
        ends = [one.difference.low, one.difference.high]
        known = [number(one, end) for end in ends if end is not None]
        said = quantity_words(one, one.difference.value, language)
        said += f" [{', '.join(known)}]" if known else ""
        if len(budgets) > 1:
            said = _AT(language, said=said, budget=BUDGETS[one.contrast.budget](language))
        what = f"{pair_words(one, language)}, {QUANTITIES[one.contrast.quantity](language)}"
        parts.setdefault(what, []).append(said)
    found = [f"{what}: {'; '.join(said)}" for what, said in parts.items()]
    if found and isinstance(verdict.claim, FrontClaim):
        found.append(_OF(language, num=len(verdict.claim.others)))
    return "; ".join(found)
