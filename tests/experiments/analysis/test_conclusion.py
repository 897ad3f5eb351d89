"""What a comparison is said to support, on counts whose truth is obvious."""

import re
from pathlib import Path

from tests.experiments.made import IMAGES, arrays, failed, judge, spread, trial


def test_one_is_far_better(tmp_path: Path) -> None:
    noise = spread(0, 0.02)
    results = [
        trial(tmp_path, name, arrays(mean + 0.1 * noise * i + noise))
        for i, (name, mean) in enumerate([("low", 0.5), ("top", 0.8), ("mid", 0.6)])
    ]
    found = judge(results)
    assert [model.model for model in found.models] == ["top", "mid", "low"]
    assert found.question == (
        "Which of these 3 networks segments camvid test best under recipe camvid-quick?"
    )
    assert found.answer == (
        "top is best with 80.0 % mIoU, 20.0 points above the next, mid (95 % interval 19.9 to "
        "20.1); with 1 seed each, this is about these checkpoints, not about new training runs."
    )
    assert [(p.a, p.b, p.verdict.kind) for p in found.pairs] == [
        ("top", "mid", "better"), ("top", "low", "better"), ("mid", "low", "better")
    ]  # fmt: skip
    assert not any(model.indistinguishable for model in found.models)
    assert (found.target, found.block, found.num_blocks) == ("checkpoints", 1, IMAGES)


def test_copies_are_equivalent(tmp_path: Path) -> None:
    counts = arrays(spread(0.5, 0.02))
    found = judge([trial(tmp_path, name, counts) for name in ("one", "two")])
    assert found.answer.startswith(
        "one and two are equivalent within 1.0 points: one - two is 0.0 (95 % interval 0.0 to 0.0)"
    )
    assert [model.indistinguishable for model in found.models] == [False, True]
    (pair,) = found.pairs
    assert (pair.difference.value, pair.p, pair.p_equivalent, pair.mdd) == (0, 1, 0, 0)
    many = judge([trial(tmp_path, name, counts) for name in ("one", "two", "three")])
    assert many.answer.startswith(
        "one has the highest mIoU, 50.0 %, but two and three are equivalent to it within 1.0 "
        "points: one - three is 0.0 points (95 % interval 0.0 to 0.0)"
    )


def test_what_images_cannot_tell_apart(tmp_path: Path) -> None:
    means = {"a": 0.5, "b": 0.49, "c": 0.485, "far": 0.2, "further": 0.1}
    results = [
        trial(tmp_path, name, arrays(spread(mean, 0.1, seed)))
        for seed, (name, mean) in enumerate(means.items())
    ]
    found = judge(results)
    assert re.fullmatch(
        r"a has the highest mIoU, 50\.0 %, but b and c cannot be told apart from it: a - c is 1\.5 "
        r"points \(95 % interval -\d\.\d to \d\.\d, p 1\.00 over all pairs\), and \d\.\d points "
        r"could have been seen 4 times in 5; a is better than far by 30\.0 points "
        r"\(95 % interval 2\d\.\d to 3\d\.\d\) and than 1 more; with 1 seed each, .*",
        found.answer,
    )
    assert [m.indistinguishable for m in found.models] == [False, True, True, False, False]
    two = judge([results[0], results[1]]).answer
    assert two.startswith("a and b cannot be told apart: a - b is 1.0 points (95 % interval ")


def test_worse_on_the_seeds_that_both_have(tmp_path: Path) -> None:
    # a has .8 and .5, b has .6 where a has .5: the mean of a is higher, the pair says b.
    noise = spread(0, 0.01)
    a = [trial(tmp_path, "a", arrays(m + noise), s) for s, m in enumerate((0.8, 0.5))]
    b = [trial(tmp_path, "b", arrays(0.6 - noise), seed) for seed in (1, 2)]
    c = [trial(tmp_path, "c", arrays(0.55 - noise), seed) for seed in (1, 2)]
    found = judge(a + b, target="checkpoints")
    assert found.answer.startswith(
        "a has the highest mean mIoU, 65.0 %, but on the seeds that both have, b is better by 10.0 "
        "points (95 % interval 9."
    )
    assert not found.models[1].indistinguishable and "apart" not in found.answer
    both = judge(a + b + c, target="checkpoints").answer
    assert "b is better by 10.0 points" in both and "c is better by 5.0 points" in both


def test_equivalents_are_not_called_alike_for_want_of_data(tmp_path: Path) -> None:
    a = spread(0.5, 0.02)
    results = [trial(tmp_path, n, arrays(a)) for n in ("a", "twin")]
    results.append(trial(tmp_path, "c", arrays(spread(0.49, 0.1, 1))))
    said = judge(results).answer
    assert "but c cannot be told apart from it: a - c is 1.0 points" in said
    assert "; twin is equivalent to it within 1.0 points: a - twin is 0.0 points" in said


def test_several_within_noise_give_noise_as_the_reason(tmp_path: Path) -> None:
    noise = spread(0, 0.002)
    results = [
        trial(tmp_path, "a", arrays(0.53 + noise)),
        trial(tmp_path, "a", arrays(0.57 + noise), repeat=1),
        trial(tmp_path, "b", arrays(0.51 - noise)),
        trial(tmp_path, "c", arrays(0.50 - noise)),
    ]
    said = judge(results).answer
    assert "b and c cannot be told apart from it: a - c is 3.0 points, less than the 50.8" in said
    assert "p 0.00" not in said


def test_long_lists_are_shortened(tmp_path: Path) -> None:
    results = [trial(tmp_path, f"n{i}", arrays(spread(0.5, 0.1, i))) for i in range(9)]
    results.append(trial(tmp_path, "low", arrays(0.1)))
    said = judge(results).answer
    assert re.search(
        r"but 8 of the 9 others \((n\d, ){2}n\d and 5 more\) cannot be told apart", said
    )
    assert re.search(r"but all others \((n\d, ){2}n\d and 5 more\)", judge(results[:9]).answer)


def test_too_few_blocks(tmp_path: Path) -> None:
    results = [trial(tmp_path, n, arrays(m), block=None) for n, m in (("a", 0.6), ("b", 0.5))]
    found = judge(results)
    assert found.answer == (
        "a has the highest mIoU, 60.0 %, but whether it is best cannot be said: only 1 "
        "independent block of images has labelled pixels: an interval needs 6."
    )
    assert found.block is None and found.num_blocks == 1
    assert found.models[0].miou.low is None and found.pairs[0].p_holm is None
    assert judge(results, block=1).pairs[0].verdict.kind == "better"
    assert judge(results, block=8).num_blocks == 5


def test_one_and_none(tmp_path: Path) -> None:
    one = judge([trial(tmp_path, "a", arrays(spread(0.5, 0.03)))])
    assert one.question == "How well does a segment camvid test under recipe camvid-quick?"
    assert one.answer == (
        "a has 50.0 % mIoU, 95 % interval 49.0 to 51.0, and there is nothing to compare it with; "
        "with 1 seed, this is about this checkpoint, not about new training runs."
    )
    none = judge([failed(tmp_path, "b", "out of memory")])
    assert "nothing can be said" in none.answer and none.models == () and none.num_blocks == 0
    assert none.did_not_train == {}
    assert judge([]).question == "Which network segments best?"
    lost = judge([trial(tmp_path, "c", arrays(0.5)), trial(tmp_path, "d", None)])
    assert "d is left out, having no counts of single images" in lost.answer
    assert [model.model for model in lost.models] == ["c"]


def test_who_did_not_train_is_not_ranked(tmp_path: Path) -> None:
    noise = spread(0, 0.01)
    results = [
        trial(tmp_path, "good", arrays(0.7 + noise)),
        trial(tmp_path, "fair", arrays(0.6 - noise)),
        trial(tmp_path, "prior", arrays(0.179)),
        trial(tmp_path, "lucky", arrays(0.9), seed=0),
        failed(tmp_path, "lucky", "the loss is nan", seed=1, kind="diverged"),
        failed(tmp_path, "old", "the loss is inf at step 7: lower the rate", kind="diverged"),
        failed(tmp_path, "memory", "out of memory"),
    ]
    found = judge(results, prior=0.17)
    assert list(found.did_not_train) == ["prior", "lucky", "old"]
    assert found.did_not_train["prior"].startswith("seed 0 reaches 17.9 % mIoU, and 17.0 %")
    assert [model.model for model in found.models] == ["good", "fair", "lucky", "prior"]
    assert [model.did_not_train is None for model in found.models] == [True, True, False, False]
    assert [(p.a, p.b) for p in found.pairs] == [("good", "fair")]
    assert found.answer.startswith("good is best with 70.0 % mIoU, 10.0 points above the next")
    assert found.answer.endswith(
        "; prior, lucky and old did not train under this recipe and are not ranked."
    )
    assert found.models[2].fronts == {} and found.models[0].fronts["gmacs"].on_front
    assert "prior" not in judge(results, prior=0.16).did_not_train
    nobody = judge(results[5:6])
    assert nobody.answer == "old did not train under this recipe: nothing to rank."
