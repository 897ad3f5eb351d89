"""The effective receptive fields of a finished trial's network, trained and untrained.

`measure_field_isolated` starts this file as a process, as torch takes a second to import and a
measurement a gigabyte, which a command that measures many trials need not hold.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.costs.field_radius import Floats, radial_profile, radius, shrink, support
from experiments.trials.environment import ALLOCATOR
from experiments.trials.field_record import Field, Fields, read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import FIELD, read_result, write_record

NUM_IMAGES = 16


def measure_field(
    result: FinishedTrial, data_root: Path | None = None, num_images: int = NUM_IMAGES
) -> Fields:
    """Both fields on images evenly spaced over the scored split, in their own size.

    About a dozen times `num_images` passes of each network, one for each class and one more.

    Raises:
        ValueError: a result without its last checkpoint, data that are not those it was scored on,
            images of several sizes, or a trained network whose gradient is nothing or no number.
    """
    from experiments.costs.receptive_field import image_fields
    from experiments.training.scored_images import scored_images
    from experiments.training.trained_networks import trained_network, untrained_network

    trained = trained_network(result)
    images = scored_images(result, data_root, num_images)
    after = [*image_fields(trained.network, images)]
    before = [*image_fields(untrained_network(result), images)]
    height, width = next((energy.shape for energy in after if energy is not None), (0, 0))
    return Fields(
        version=trained.identity.version,
        trial=result.id,
        model=result.model,
        seed=result.seed,
        num_images=len(images.indices),
        size=(height, width),
        data=images.fingerprint,
        code=trained.identity.hashes.code,
        checkpoint=trained.checkpoint,
        trained=described(after, trained.steps),
        untrained=None if all(energy is None for energy in before) else described(before, 0),
    )


def described(fields: Sequence[Floats | None], steps: int) -> Field:
    """The fields of single images as they are kept, of a network trained for so many steps.

    Raises:
        ValueError: as `mean_field`.
    """
    from experiments.costs.receptive_field import mean_field

    energy = mean_field(fields)
    small = shrink(energy)
    return Field(
        steps=steps,
        num_silent=sum(energy is None for energy in fields),
        radius_50=round(radius(energy, 0.50), 3),
        radius_95=round(radius(energy, 0.95), 3),
        support=support(energy)[2:],
        profile=tuple(round(float(share), 6) for share in radial_profile(energy)),
        cells=tuple(" ".join(str(round(1e6 * cell)) for cell in row) for row in small.tolist()),
    )


def measure_field_isolated(
    result: FinishedTrial, data_root: Path | None, threads: int, num_images: int = NUM_IMAGES
) -> Fields:
    """Measure in a process of its own, which leaves `field.json` beside the result.

    Raises:
        ValueError: it could not be measured, in the process's own words.
    """
    arguments = [str(result.path), str(num_images), *([str(data_root)] if data_root else [])]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.training.trial_field", *arguments],
        env={"OMP_NUM_THREADS": str(threads), **ALLOCATOR, **os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    fields = read_fields(result) if done.returncode == 0 else None
    if fields is None:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"no receptive field of {result.label} seed {result.seed}: {said[-1]}")
    return fields


def main(arguments: Sequence[str]) -> int:
    """Measure the trial of a result file: its path, a number of images, and the data's folder."""
    path, num_images, *root = arguments
    try:
        result = read_result(Path(path))
        if not isinstance(result, FinishedTrial):
            raise ValueError(f"{path} is no result of a finished trial: name one")
        fields = measure_field(result, Path(root[0]) if root else None, int(num_images))
        write_record(result.path.with_name(FIELD), fields)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
