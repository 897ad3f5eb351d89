"""A comparison that is killed at any moment ends, given again, as one that never was.

`KILLS=40 pytest tests/experiments/comparison/test_kills.py` tries forty moments instead of a few,
and watches for a minute that no process is left.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.experiments.kills import Comparison, random_kills

pytestmark = pytest.mark.slow
NUMBER = int(os.environ.get("KILLS", "6"))
CHAIN = 5  # kills of one comparison before it may end


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("devices", [1, 2])
def test_killed_anywhere_and_given_again(
    tmp_path: Path, devices: int, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Comparison(tmp_path / "whole", devices)
    whole.finish()
    assert not whole.stray()
    counted: Counter[str] = Counter()
    for first in range(0, NUMBER // 2, CHAIN):
        ours = Comparison(tmp_path / f"killed{first}", devices)
        for kill in random_kills(min(CHAIN, NUMBER // 2 - first), f"{devices} {first}"):
            said = f"{ours.kill(kill)}, {kill.victim}, {kill.signal.name}"
            counted[said] += 1
            with capsys.disabled():
                print(f"\n{devices} devices: {said}", end="", flush=True)
        ours.finish()
        assert ours.bits() == whole.bits()
        assert ours.files() == whole.files()
        assert not ours.stray()
        assert not ours.left_processes(60, appearing=NUMBER > 6)
    with capsys.disabled():
        print(f"\n{devices} devices, {counted.total()} kills: {dict(counted)}")
