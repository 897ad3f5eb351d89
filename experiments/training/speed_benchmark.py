"""The benchmark that stays: this project's speed on a machine, as ratios of one run."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict

import torch

from experiments import __version__
from experiments.costs.device import hardware, has_bf16, this_device
from experiments.speed.plain_loop import inference_against_plain, training_against_plain
from experiments.speed.speed_ratios import SpeedRatio
from experiments.training.loop_benchmark import trial_against_bare_loop
from experiments.training.requested_trial import requested
from experiments.training.trial_request import TrialRequest
from experiments.trials.recipe import RecipeRequest

_TRIAL, _NETWORK = "hrnetv2_w18_small_v1", "hrnetv2_w18"
_DATA = "streets:height=360:width=480:train=64:val=2:test=2"  # as large as CamVid's images
_CLASSES = 11


def speed_ratios(runtimes: Sequence[str], blocks: int = 7) -> Iterator[SpeedRatio]:
    """A trial at `camvid-quick`'s shape, then training and inference of HRNetV2-W18 at 360x480.

    In bf16 where the hardware has it.

    Args:
        runtimes: of `costs.measurement.RUNTIMES`, that are installed.
        blocks: of calls of each way; in training twice as many.

    Raises:
        ValueError: a runtime that cannot run the network.
    """
    precision = "bf16-mixed" if has_bf16() else "32-true"
    recipe = RecipeRequest("camvid-quick", (f"precision={precision}",), _DATA)
    ours = requested(TrialRequest(model=_TRIAL, recipe=recipe))
    yield trial_against_bare_loop(ours, blocks=2 * blocks, block=4)
    shape = (_NETWORK, _CLASSES, (360, 480), precision)
    yield training_against_plain(*shape, batch=2, blocks=2 * blocks)
    for runtime in runtimes:
        yield inference_against_plain(*shape, runtime, blocks=blocks)


def main(runtimes: Sequence[str]) -> int:
    """Each ratio as a line of JSON, then what they were measured on."""
    answers = sys.stdout
    with redirect_stdout(sys.stderr):  # what a trial says besides
        for ratio in speed_ratios(runtimes):
            print(json.dumps(asdict(ratio)), file=answers, flush=True)
    where = {
        "hardware": hardware(this_device()),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "version": __version__,
    }
    print(json.dumps(where), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
