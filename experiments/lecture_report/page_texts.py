"""What lecture.html says besides verdicts, in both languages; values in braces come from results.

Korean terms as papers and courses have them: 시맨틱 분할, 수용 영역, 합성곱 (전치, 팽창,
스트라이드), 최대 풀링, 쌍선형 보간, 스킵 연결, 특징 맵, 신뢰구간, 표준편차, 파레토 프런티어.
"""

from collections.abc import Mapping

from markupsafe import Markup, escape

from experiments.claims.words import LANGUAGES, Text

REGISTERED = "2026-11-28"  # when registration.py was committed

WORDS: Mapping[str, Text] = {
    "title": Text("The lecture, measured", "측정으로 본 강의"),
    "subtitle": Text(
        "What a lecture says of HRNet, as nine claims, each with a measurement, an interval and a "
        "verdict",
        "HRNet 강의의 아홉 가지 주장과 그 측정값, 신뢰구간, 판정",
    ),
    "progress": Text(
        "{finished} of {wanted} trials have finished.",
        "실험 {wanted}개 중 {finished}개가 끝났다.",
    ),
    "told": Text(
        "{told} of {claims} claims have a verdict that no missing trial can change.",
        "주장 {claims}개 중 {told}개의 판정은 남은 실험으로 바뀌지 않는다.",
    ),
    "nothing": Text(
        "No trial has finished yet of {wanted}; what is not measured says so.",
        "실험 {wanted}개 중 아직 끝난 것이 없다. 측정하지 않은 것은 그렇다고 적었다.",
    ),
    "no_trials": Text("Nothing is trained for this.", "이 주장을 위해 학습하는 것은 없다."),
    "added_trials": Text(
        "All were registered before the first of them, but {added} that were added later.",
        "나중에 추가한 {added}개를 빼고 모두 첫 실험 전에 등록했다.",
    ),
    "still_climbs": Text(
        "Too short to rank: the validation mIoU of {num} of {of} networks still climbs at the end, "
        "by {low} to {high} points from step {since} on; what follows is about this point of "
        "training.",
        "순위를 정하기에는 너무 짧다: 네트워크 {of}개 중 {num}개의 검증 mIoU가 끝에서도 오르고 "
        "있다({since}번째 스텝부터 {low}~{high}%p). 아래의 결과는 학습의 이 시점에 관한 것이다.",
    ),
    "untrained_trials": Text(
        "{trials} trials, of {networks} networks, did not train.",
        "네트워크 {networks}개의 실험 {trials}개는 학습되지 않았다.",
    ),
    "other_code": Text(
        "Trained by other code than is here now: {num} of the trials; python -m "
        "experiments.verify tells whether it gives the same losses.",
        "실험 {num}개는 지금과 다른 코드로 학습했다. 손실이 같은지는 python -m experiments.verify "
        "명령으로 알 수 있다.",
    ),
    "prior": Text(
        "Class frequencies of each position, without looking at an image: {miou} % mIoU.",
        "이미지를 보지 않고 위치별 클래스 빈도만 쓸 때: mIoU {miou} %.",
    ),
    "failures": Text("{failed} failed.", "{failed}개는 실패했다."),
    "untrained_list": Text("Trials that did not train:", "학습되지 않은 실험:"),
    "untrained_row": Text("did not train", "학습되지 않음"),
    "not_yet": Text("not measured yet", "아직 측정하지 않음"),
    "did_not_train": Text("a network did not train", "학습되지 않은 네트워크가 있음"),
    "claim": Text("Claim", "주장"),
    "verdict": Text("Verdict", "판정"),
    "verdicts_note": Text(
        "Verdicts are computed from results by rules that were registered before the first trial; "
        "how C9's are read was settled later (last section). No difference: within the margin by "
        "two one-sided tests, p < .05 each. Else supported: the 95 % interval of the difference "
        "lies above 0; contradicted: below 0. Anything else cannot be told. Each claim is tested "
        "at 5 %, uncorrected for there being 9.",
        "판정은 첫 실험 전에 등록한 규칙에 따라 결과에서 계산한다. C9의 규칙을 읽는 방식은 나중에 "
        "정했다(마지막 절). 차이 없음: 두 단측 검정 모두 p < .05로 동등성 한계 안에 있다. 그렇지 "
        "않으면 지지됨: 차이의 95 % 신뢰구간이 0보다 위에 있다. 반박됨: 0보다 아래에 있다. 그 "
        "밖에는 판단할 수 없다. 각 주장은 5 % 수준에서 검정하며, 주장이 9개라는 점은 보정하지 "
        "않았다.",
    ),
    "thought": Text("The line of thought", "생각의 흐름"),
    "ladder": Text(
        "The ladder: where networks spend their work", "사다리: 연산이 이루어지는 해상도"
    ),
    "ladder_note": Text(
        "Each network at its paper's width. Left to right: depth. Top to bottom: resolution. The "
        "thicker a bar, the more channels. Right: share of the multiply-adds.",
        "각 네트워크의 폭은 논문을 따랐다. 왼쪽에서 오른쪽: 깊이. 위에서 아래: 해상도. 막대가 "
        "두꺼울수록 채널이 많다. 오른쪽 숫자: 곱셈-누산 중의 비율.",
    ),
    "ladder_missing": Text(
        "The picture is not kept here: python -m experiments.ladder draws it.",
        "그림이 이곳에 없다. python -m experiments.ladder 명령이 그린다.",
    ),
    "ceiling": Text(
        "The stride ceiling: what a coarse grid can hold at best",
        "해상도가 정하는 상한: 성긴 격자로 얻을 수 있는 최고 mIoU",
    ),
    "ceiling_note": Text(
        "The true labels of {data} {split} ({images} images), averaged on a grid and brought back "
        "bilinearly: mIoU of a perfect network whose map ends there. A yardstick, no proof, as "
        "sharper maps than averages exist. {worst} is the class that suffers first.",
        "{data} {split}(이미지 {images}장)의 정답 레이블을 격자에서 평균한 뒤 쌍선형 보간으로 "
        "되돌린 값이다. 그 해상도에서 끝나는 완벽한 네트워크의 mIoU에 해당한다. 평균보다 날카로운 "
        "맵도 가능하므로 증명이 아니라 척도이다. 가장 먼저 손해를 보는 클래스: {worst}.",
    ),
    "resolution": Text("Resolution", "해상도"),
    "all_pixels": Text("mIoU, all pixels", "mIoU, 모든 픽셀"),
    "near": Text("within 3 px of a boundary", "경계 3픽셀 이내"),
    "fields": Text("Receptive fields", "수용 영역"),
    "fields_note": Text(
        "Discs about the centre that hold 50 % (inner) and 95 % (outer) of the energy of the "
        "gradient of the centre's logits, over a procedural street of {height}x{width} pixels. "
        "Dashed blue: untrained; solid orange: trained. The field is wide where the outer circle "
        "is.",
        "중심 픽셀 로짓의 기울기 에너지 중 50 %(안쪽)와 95 %(바깥쪽)를 담는 원을, 절차적으로 "
        "생성한 {height}x{width}픽셀의 거리 장면 위에 그렸다. 파란 점선: 학습 전. 주황 실선: 학습 "
        "후. 바깥 원이 클수록 수용 영역이 넓다.",
    ),
    "untrained": Text("untrained", "학습 전"),
    "trained": Text("trained", "학습 후"),
    "claims": Text("The claims, one by one", "주장별 결과"),
    "claims_note": Text(
        "Points: the difference with its 95 % interval for new training runs, scored on other test "
        "images like these (of radii for new training runs alone); below it, a ring for each seed. "
        "In simulations intervals of 2 seeds hold the truth in 89 to 95 % of cases, of 3 or more "
        "in 93 to 96 %. Grey band: the margin within which no difference matters.",
        "큰 점과 선: 차이와 그 95 % 신뢰구간으로, 새로 학습해 비슷한 다른 테스트 이미지로 평가할 "
        "때의 것이다(반지름은 새로 학습할 때만). 그 아래의 작은 고리: 시드별 차이. 모의실험에서 "
        "신뢰구간이 참값을 담는 비율은 시드가 2개이면 89~95 %, 3개 이상이면 93~96 %이다. 회색 띠: "
        "차이가 의미 없다고 보는 동등성 한계.",
    ),
    "points": Text("difference, points", "차이, %p"),
    "ratio": Text("ratio of radii", "반지름의 비"),
    "deciding": Text("Decides the verdict", "판정을 정하는 비교"),
    "beside": Text("Shown beside it (exploratory)", "함께 보이는 비교(탐색적)"),
    "rests": Text("What it rests on", "판정의 근거"),
    "support": Text("Would support it", "지지 조건"),
    "contradict": Text("Would contradict it", "반박 조건"),
    "margin": Text("Margin", "동등성 한계"),
    "margin_points": Text("±{value:.1f} points", "±{value:.1f}%p"),
    "margin_ratio": Text("a ratio of {value:.2f}", "{value:.2f}배"),
    "seeds": Text("Seeds", "시드"),
    "seeds_of": Text("{n} of {of} registered", "등록된 {of}개 중 {n}개"),
    "row_seeds": Text("seeds: {n}", "시드 {n}개"),
    "to_measure": Text("To be measured", "측정할 것"),
    "images": Text("Images", "이미지"),
    "images_of": Text("{images} in {blocks} blocks", "{images}장, 블록 {blocks}개"),
    "field_images": Text(
        "{n} test images, evenly spaced; the interval is over seeds alone",
        "고르게 뽑은 테스트 이미지 {n}장, 신뢰구간은 시드만 반영",
    ),
    "apart_name": Text("Its two parts {budget} (exploratory)", "{budget}의 두 부분(탐색적)"),
    "apart": Text(
        "difference of mIoU within 3 px: {near}, beyond: {beyond} points",
        "mIoU의 차이, 경계 3픽셀 이내: {near}, 그 밖: {beyond}%p",
    ),
    "measured": Text("Measured", "측정"),
    "order_measured": Text(
        "{pairs} pairs in turn at {size}, one image, fp32, {threads} threads ({hardware})",
        "{size}, 이미지 한 장, fp32, 스레드 {threads}개에서 번갈아 {pairs}쌍({hardware})",
    ),
    "detectable": Text(
        "Smallest difference found 4 times in 5, {pair} {budget}",
        "5번 중 4번 검출되는 최소 차이, {pair}, {budget}",
    ),
    "closed": Text("Cannot come out", "나올 수 없는 판정"),
    "front_closed": Text(
        "Supported: in {num} of the comparisons the other network did not train, and nothing shows "
        "that it is no better.",
        "지지됨: 학습되지 않은 네트워크와의 비교가 {num}개이고, 그 네트워크가 더 낫지 않다는 것을 "
        "보일 수 없다.",
    ),
    "below": Text(
        "The interval of a deciding contrast lies below 0, and not within the margin.",
        "판정을 정하는 비교의 신뢰구간이 0보다 아래에 있고 동등성 한계 안에 있지 않다.",
    ),
    "order_support": Text(
        "With fixed statistics the outputs differ by at most 1e-6 of their largest value, the 1x1 "
        "convolution takes fewer multiply-adds where it comes first, and the 95 % interval of the "
        "ratio of seconds lies below 1.",
        "통계를 고정했을 때 출력의 차이가 최댓값의 1e-6 이하이고, 1x1 합성곱을 먼저 할 때 "
        "곱셈-누산이 더 적으며, 시간 비율의 95 % 신뢰구간이 1보다 아래에 있다.",
    ),
    "order_contradict": Text(
        "The outputs differ by more, or it takes as many multiply-adds or more, or that interval "
        "lies above 1.",
        "출력의 차이가 더 크거나, 곱셈-누산이 같거나 더 많거나, 그 신뢰구간이 1보다 위에 있다.",
    ),
    "front_support": Text(
        "At equal multiply-adds and at equal training seconds no other network is better by a "
        "point or more (one-sided tests, p < .05 each).",
        "동일한 곱셈-누산 횟수와 동일한 학습 시간 모두에서, 1%p 이상 더 나은 네트워크가 없다(단측 "
        "검정, 각각 p < .05).",
    ),
    "front_contradict": Text(
        "At both a network is better: its interval lies below 0 with p corrected over all others "
        "(Holm), and is not within the margin.",
        "두 예산 모두에서 더 나은 네트워크가 있다. 다른 모든 네트워크에 대해 p를 보정해도(Holm) "
        "신뢰구간이 0보다 아래에 있고 동등성 한계 안에 있지 않다.",
    ),
    "against": Text("mIoU against", "mIoU와 비용:"),
    "front_note": Text(
        "Bars: 95 % intervals of each network's own mIoU. Dashed: the best to be had at up to each "
        "cost. Networks that did not train are left out. What a budget holds equal differs by "
        "whole channels alone.",
        "막대: 각 네트워크 mIoU의 95 % 신뢰구간. 점선: 각 비용 이하에서 얻을 수 있는 최고값. "
        "학습되지 않은 네트워크는 뺐다. 같게 맞춘 비용의 차이는 채널 수가 정수이기 때문이다.",
    ),
    "front_shares": Text(
        "On the front, in percent of the resampled test sets (●: on it as measured), of these very "
        "trainings: no seed is drawn anew. Each network with the seeds that all have: {seeds}",
        "재표집한 테스트 집합 가운데 프런티어에 놓인 비율(%). 학습은 그대로이고 시드는 다시 뽑지 "
        "않는다(●: 측정값에서 프런티어에 있음). 모두가 가진 시드: {seeds}",
    ),
    "macs": Text("at equal multiply-adds", "동일한 곱셈-누산 횟수"),
    "seconds": Text("at equal training seconds", "동일한 학습 시간"),
    "cost": Text("Cost", "비용"),
    "budget": Text("Budget", "예산"),
    "table": Text("At equal cost", "동일한 비용에서"),
    "table_note": Text(
        "Means over each network's own seeds, where claims compare the seeds that both have; ±: "
        "their standard deviation. CamVid test. The published table below "
        "is of other data and much larger networks, so that no column holds both.",
        "각 네트워크가 가진 시드의 평균(주장에서는 둘 다 가진 시드끼리 비교), ±: 표준편차. CamVid "
        "테스트. 아래의 발표된 표는 다른 데이터와 훨씬 큰 "
        "네트워크의 것이므로 같은 열에 두지 않았다.",
    ),
    "training_note": Text(
        "Training: all steps of the schedule at the median of {rounds} that {networks} networks "
        "took in turn, on one thread ({hardware}), as trials run beside other work.",
        "학습: 네트워크 {networks}개가 번갈아 실행한 스텝 {rounds}개의 중앙값에 스케줄의 스텝 수를 "
        "곱한 시간, 스레드 하나({hardware}). 실험은 다른 작업과 함께 실행되므로 그 시간을 쓰지 "
        "않는다.",
    ),
    "training_not_yet": Text(
        "Training: not measured yet, as trials run beside other work.",
        "학습: 실험이 다른 작업과 함께 실행되므로 따로 재야 하며, 아직 측정하지 않음.",
    ),
    "families": Text("The lecture's networks", "강의의 네트워크"),
    "variants": Text("Variants for single claims", "개별 주장을 위한 변형"),
    "network": Text("Network", "네트워크"),
    "params": Text("Params", "파라미터"),
    "training": Text("Training", "학습"),
    "memory": Text("Memory", "메모리"),
    "band": Text("mIoU near", "경계 mIoU"),
    "thin": Text("Thin", "얇은 객체"),
    "band_unit": Text("%, within 3 px", "%, 3픽셀 이내"),
    "thin_unit": Text("recall, %", "재현율, %"),
    "published": Text(
        "Published: HRNet's paper, Table III, Cityscapes val, 1024x2048, single scale, no flip",
        "발표된 값: HRNet 논문 표 III, Cityscapes val, 1024x2048, 단일 스케일, 플립 없음",
    ),
    "scale": Text("How far this reaches", "이 결과의 범위"),
    "noise": Text(
        "Noise floor: the same trial once more ({model}, seed {seed}) gives a mIoU that is {value} "
        "points away, where the margin is {margin:.1f}; the additions to the registration say on "
        "which machine.",
        "잡음 수준: 같은 실험을 한 번 더 하면({model}, 시드 {seed}) mIoU가 {value}%p 다르다(동등성 "
        "한계는 {margin:.1f}%p). 어떤 기계에서 실행했는지는 등록의 추가 사항에 있다.",
    ),
    "noise_not_yet": Text(
        "Noise floor, the same trial once more ({model}, seed {seed}): not measured yet.",
        "잡음 수준, 같은 실험을 한 번 더({model}, 시드 {seed}): 아직 측정하지 않음.",
    ),
    "spread": Text(
        "Standard deviation of mIoU over seeds at equal multiply-adds, points: from {low} "
        "({lowest}) to {high} ({highest}).",
        "동일한 곱셈-누산 횟수에서 시드에 따른 mIoU의 표준편차(%p): 최소 {low}({lowest}), 최대 "
        "{high}({highest}).",
    ),
    "spread_not_yet": Text(
        "Standard deviation of mIoU over seeds: not measured yet.",
        "시드에 따른 mIoU의 표준편차: 아직 측정하지 않음.",
    ),
    "longer": Text(
        "Schedule: {times} times the steps (seeds {seeds}) take {better} from {better_once} to "
        "{better_more} % mIoU and {worse} from {worse_once} to {worse_more}; their difference goes "
        "from {once} to {more} points, a change of {change}.",
        "학습 스케줄: 스텝을 {times}배로 늘리면(시드 {seeds}) mIoU가 {better}는 {better_once}에서 "
        "{better_more} %로, {worse}는 {worse_once}에서 {worse_more} %로 바뀐다. 둘의 차이는 "
        "{once}에서 {more}%p로, 변화는 {change}%p이다.",
    ),
    "longer_not_yet": Text(
        "Schedule: whether {times} times the steps change the order of {better} and {worse} is not "
        "measured yet.",
        "학습 스케줄: {times}배의 스텝에서 {better}와 {worse}의 순서가 바뀌는지는 아직 측정하지 "
        "않음.",
    ),
    "long_enough": Text(
        "By the check that was registered that is long enough: the order stays, or seeds alone "
        "change the difference as much. It does not say that the networks had learnt all they can.",
        "등록한 기준으로는 충분히 길다. 순서가 그대로이거나 시드만으로도 차이가 그만큼 달라지기 "
        "때문이다. 네트워크가 배울 것을 다 배웠다는 뜻은 아니다.",
    ),
    "too_short": Text(
        "The order turns by more than seeds explain: by the check that was registered the schedule "
        "is too short to rank.",
        "순서가 시드로 설명되는 것보다 크게 뒤집힌다. 등록한 기준으로 학습 스케줄이 순위를 "
        "정하기에는 너무 짧다.",
    ),
    "length_untold": Text(
        "The order turns, and there are too few seeds to tell whether by chance.",
        "순서가 뒤집혔고, 우연인지 판단하기에는 시드가 너무 적다.",
    ),
    "record": Text("Failed trials and the registration", "실패한 실험과 등록"),
    "none_failed": Text("No trial has failed.", "실패한 실험은 없다."),
    "seed": Text("seed {seed}", "시드 {seed}"),
    "registered": Text(
        "Networks, quantities, margins and tests were registered on {date}, before the first "
        "trial, in experiments/claims/registration.py.",
        "네트워크, 측정량, 동등성 한계, 검정은 첫 실험 전인 {date}에 "
        "experiments/claims/registration.py에 등록했다.",
    ),
    "no_additions": Text("Nothing was added later.", "이후에 추가된 것은 없다."),
    "additions": Text("Added later:", "이후에 추가된 것(영어):"),
    "reproduce": Text("This repeats it, for days:", "다음 명령이 이 연구를 되풀이한다(며칠 걸림):"),
    "noscript": Text(
        "The cost chart needs JavaScript; the tables hold its numbers.",
        "비용 그림에는 JavaScript가 필요하다. 수치는 표에 있다.",
    ),
}
COSTS: Mapping[str, Text] = {
    "gmacs": Text("GMACs at 360x480", "360x480에서의 GMACs"),
    "train_s": Text("Training, s", "학습 시간, 초"),
    "params_m": Text("Parameters, millions", "파라미터, 백만 개"),
    "memory_gb": Text("Peak memory, GB", "최대 메모리, GB"),
}


def filled(name: str, **values: object) -> Text:
    """A text of the page with its values."""
    return Text(*(WORDS[name](language, **values) for language in LANGUAGES))


def both(text: Text) -> Markup:
    """Both languages, of which the page shows one; a text that is the same in both stands once."""
    if text.en == text.ko:
        return escape(text.en)
    return Markup('<span lang="en">{}</span><span lang="ko">{}</span>').format(*text)
