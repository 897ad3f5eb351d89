"""The trials that evidence rests on, their scores on resampled images, and who is ranked."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.analysis.bootstrap import Block, BlockBootstrap, ModelScores
from experiments.analysis.convergence import Convergence, convergence
from experiments.analysis.replicates import floor
from experiments.analysis.untrained import did_not_train
from experiments.analysis.variance import Spread
from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import finished, first_runs, per_image


@dataclass(frozen=True, eq=False)
class ComparisonScores:
    """What a comparison rests on.

    Attributes:
        trials: each once; `done` are those that finished.
        block: images resampled together; None for whole groups.
        scores: of the models that have per-image counts, best first.
        not_trained: models that are not ranked, with the reason.
        noise: of repeats.
        convergence: whether the networks still learn where their training ends.
    """

    trials: Sequence[TrialResult]
    done: Sequence[FinishedTrial]
    block: int | None
    scores: dict[str, ModelScores]
    not_trained: dict[str, str]
    noise: Spread
    convergence: Convergence

    @property
    def ranked(self) -> dict[str, ModelScores]:
        return {name: own for name, own in self.scores.items() if name not in self.not_trained}

    @property
    def not_counted(self) -> list[str]:
        """Models that finished and have no counts of single images."""
        known = {*self.scores, *self.not_trained}
        return list(dict.fromkeys(r.label for r in self.done if r.label not in known))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of all models."""
        return tuple(sorted({seed for own in self.scores.values() for seed in own.seeds}))

    @property
    def num_images(self) -> int:
        return next((own.num_images for own in self.scores.values()), 0)

    @property
    def num_blocks(self) -> int:
        """Blocks with a labelled pixel; 0 where nothing was counted."""
        return next((own.miou.num_blocks for own in self.scores.values()), 0)


def score_comparison(
    results: Sequence[TrialResult],
    prior: float | None,
    block: Block,
    draws: int,
    margin: float,
) -> ComparisonScores:
    """Resample the images of a comparison; arguments as of `evidence.evidence`.

    Raises:
        ValueError: results that differ in recipe, data or protocol, or counts of other images.
    """
    check_comparable(results)
    trials = first_runs(results)
    done = finished(trials)
    length = block if block != "auto" else done[0].data.block if done else None
    return ComparisonScores(
        trials=trials,
        done=done,
        block=length,
        scores=_scores(done, length, draws),
        not_trained=did_not_train(results, prior),
        noise=floor(results),
        convergence=convergence(done, margin),
    )


def _scores(
    done: Sequence[FinishedTrial], length: int | None, draws: int
) -> dict[str, ModelScores]:
    """Models with per-image counts on the same draws, best first; one model's counts at a time."""
    bootstrap, scores = None, {}
    for name in dict.fromkeys(result.label for result in done):
        counts = {result.seed: per_image(result) for result in done if result.label == name}
        seeds = {seed: arrays for seed, arrays in counts.items() if arrays is not None}
        for arrays in seeds.values():
            bootstrap = bootstrap or BlockBootstrap(arrays, length, draws)
        if bootstrap and seeds:
            scores[name] = bootstrap.model(seeds)
    return dict(sorted(scores.items(), key=lambda item: -item[1].miou.mean))
