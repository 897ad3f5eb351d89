"""The Pareto front by hand and against a loop."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.analysis.pareto import pareto, pareto_front
from tests.experiments.analysis.made_counts import resampled


def test_pareto_by_hand() -> None:
    costs = {"cheap": 1.0, "mid": 2.0, "beaten": 3.0, "best": 4.0, "twin": 4.0}
    scores = {
        "cheap": resampled(0.5, [0.5, 0.8, 0.5, 0.5]),
        "mid": resampled(0.6, [0.6, 0.6, 0.6, 0.6]),
        "beaten": resampled(0.55, [0.55, 0.55, 0.65, 0.55]),
        "best": resampled(0.7, [0.7, 0.7, 0.7, 0.7]),
        "twin": resampled(0.7, [0.7, 0.7, 0.7, 0.7]),
    }
    front = pareto(costs, scores)
    # Of twins the first. In the second draw cheap beats all.
    assert [x.on_front for x in front.values()] == [True, True, False, True, False]
    assert [x.share for x in front.values()] == [1, 0.75, 0.25, 0.75, 0]
    scores["mid"] = resampled(0.6, [0.6] * 4, num_blocks=2)
    assert {x.share for x in pareto(costs, scores).values()} == {None}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_pareto_against_a_loop(points: list[tuple[int, int]]) -> None:
    names = [str(i) for i in range(len(points))]
    front = pareto(
        {n: float(c) for n, (c, _) in zip(names, points, strict=True)},
        {n: resampled(m / 5, [m / 5]) for n, (_, m) in zip(names, points, strict=True)},
    )
    first = pareto_front([c for c, _ in points], [m for _, m in points])
    for i, (cost, miou) in enumerate(points):
        beaten = any(c <= cost and m >= miou and (c, m) != (cost, miou) for c, m in points)
        beaten = beaten or (cost, miou) in points[:i]
        assert front[names[i]].on_front is not beaten and (i in first) is not beaten
        assert front[names[i]].share == float(not beaten)
