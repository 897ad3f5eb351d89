"""The parts of `make gpu`: their order, limits and files, and what stays of a run cut short."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from experiments import gpu
from experiments.comparison import gpu_run, gpu_tests, gpu_throughput, gpu_trials
from experiments.comparison.gpu_run import PARTS, GpuRequest, part_seconds, run_parts
from experiments.comparison.gpu_tests import marked_files, run_gpu_tests
from experiments.comparison.gpu_throughput import run_throughput
from experiments.comparison.gpu_trials import GpuTrials, run_gpu_trials
from experiments.reporting.console import PlainConsole
from experiments.speed.gpu_machine import GpuMachine
from experiments.speed.throughput import (
    Roofline,
    Row,
    Throughput,
    ThroughputFailure,
    ThroughputRequest,
)
from experiments.trials.overrides import load
from experiments.trials.signals import Stopped
from experiments.trials.trial import Trial
from tests.experiments import stage

MACHINE = GpuMachine("NVIDIA A-1 80GB", 2, 80.0, "9.0", "550.1", "13.0", "2.14.1", "3.12.1")
SPEEDS = Roofline(700.0, 400.0, 60.0, 3000.0)


class Clock:
    """Time that passes where the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """What a part wrote, write by write."""

    def __init__(self) -> None:
        self.writes: list[tuple[dict[str, Any], str | None]] = []

    def __call__(self, content: dict[str, Any], cut_short: str | None = "stopped") -> None:
        self.writes.append((json.loads(json.dumps(content)), cut_short))


def quiet(_: str) -> None:
    pass


def request(out: Path, seconds: float = 100) -> GpuRequest:
    return GpuRequest(PARTS, seconds, out, ("unet",), GpuTrials())


def replace_parts(monkeypatch: pytest.MonkeyPatch, part: Callable[..., bool]) -> None:
    for name in ("run_gpu_tests", "run_throughput", "run_gpu_trials"):
        monkeypatch.setattr(gpu_run, name, part)


def test_parts_share_the_time_that_is_left() -> None:
    assert PARTS == ("tests", "throughput", "trials")
    assert part_seconds(100, PARTS) == pytest.approx(35)
    assert part_seconds(65, PARTS[1:]) == pytest.approx(42)
    assert part_seconds(95, PARTS[1:]) > 42  # the tests needed five seconds
    assert part_seconds(23, PARTS[2:]) == 23
    assert part_seconds(-1, PARTS) == 0


def test_each_part_has_a_whole_file_as_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, limits = Clock(), list[float]()

    def part(*args: Any) -> bool:
        seconds, write, _ = args[-3:]
        limits.append(seconds)
        clock.now += 10
        write({"n": len(limits)}, None)
        return len(limits) != 2

    replace_parts(monkeypatch, part)
    assert run_parts(request(tmp_path), MACHINE, PlainConsole(), clock) == 1  # the second failed
    assert limits == pytest.approx([35, 90 * 0.42 / 0.65, 80])
    folder = tmp_path / "nvidia-a-1-80gb"
    assert {path.name for path in folder.iterdir()} == {f"{name}.json" for name in PARTS}
    record = json.loads((folder / "throughput.json").read_text())
    assert record["n"] == 2 and record["took_s"] == 10 and record["limit_s"] == 58
    assert record["cut_short"] is None and record["machine"] == asdict(MACHINE)
    assert record["date"].endswith("+00:00") and record["version"]


def test_what_had_ended_stays_of_a_run_that_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def part(*args: Any) -> bool:
        begun.append(1)
        args[-2]({"rows": [1]}, *([None] if len(begun) == 1 else []))
        if len(begun) == 2:
            raise Stopped(2)
        return True

    replace_parts(monkeypatch, part)
    with pytest.raises(Stopped):
        run_parts(request(tmp_path), MACHINE, PlainConsole())
    folder = tmp_path / "nvidia-a-1-80gb"
    assert sorted(path.name for path in folder.iterdir()) == ["tests.json", "throughput.json"]
    ended, cut = (json.loads((folder / f"{name}.json").read_text()) for name in PARTS[:2])
    assert ended["cut_short"] is None
    assert cut["cut_short"] == "it was stopped from outside" and cut["rows"] == [1]


def measured(request: ThroughputRequest, roofline: Roofline, *_: object) -> list[Row]:
    """The first network's rows, and why the others' are missing."""
    if request.model == "unet":
        return [Throughput("unet", *way, 2, 9.0, 222.0, 3.0, 0.4, 0.5, 1.0, {}) for way in
                request.figures]  # fmt: skip
    return [ThroughputFailure(request.model, *way, "out of memory") for way in request.figures]


def test_throughput_ends_when_its_time_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, kept, limits = Clock(), Kept(), list[float]()

    def measure(*args: Any) -> list[Row]:
        limits.append(args[2])
        clock.now += 50
        return measured(*args)

    monkeypatch.setattr(gpu_throughput, "measure_card", lambda *_: SPEEDS)
    monkeypatch.setattr(gpu_throughput, "measure_network", measure)
    said: list[str] = []
    networks = ("unet", "segnet", "pspnet", "hrnet")
    assert not run_throughput(networks, 1, 180, kept, said.append, clock=clock)
    assert limits == [90, 90, 80, 30]  # the last has what is left
    assert [len(content["rows"]) for content, _ in kept.writes] == [4, 8, 12, 14, 14]
    content, cut = kept.writes[-1]
    assert cut is not None and cut.startswith("no time was left for hrnet; segnet, compiled")
    assert content["roofline"] == asdict(SPEEDS) and content["settings"]["train_batch"] == 2
    assert "unet, ours, training: 9.0 images/s, 3.0 GB, 40 % of matrix products" in said
    assert "segnet, usual, inference: out of memory" in said


def test_throughput_with_time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr(gpu_throughput, "measure_card", lambda *_: SPEEDS)
    monkeypatch.setattr(gpu_throughput, "measure_network", measured)
    assert run_throughput(("unet",), 1, 180, kept, quiet)
    assert [cut for _, cut in kept.writes] == ["stopped", "stopped", None]
    monkeypatch.setattr(gpu_throughput, "measure_card", lambda *_: "its time was over")
    assert not run_throughput(("unet",), 1, 180, kept, quiet)
    assert kept.writes[-1][1] == "the card could not be measured: its time was over"


@pytest.mark.slow
def test_outcomes_of_tests_are_kept_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a checkout with one file, whose last test is still busy when time is over."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/__init__.py").touch()
    real = Path(gpu_tests.ROOT / "tests/outcomes.py").read_text()
    (tmp_path / "tests/outcomes.py").write_text(real)
    (tmp_path / "experiments").symlink_to(gpu_tests.ROOT / "experiments")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "--no-such-plugin"\nmarkers = ["gpu: of a GPU"]\n'
        'filterwarnings = ["error"]\n'
    )
    (tmp_path / "tests/test_gpu.py").write_text(
        "import time, warnings, pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_good(): warnings.warn('of another version')\n"
        "def test_bad(): assert 1 + 1 == 3, 'sums'\n"
        "def test_absent(): pytest.skip('no second GPU')\n"
        "def test_busy(): time.sleep(60)\n"
    )
    (tmp_path / "tests/test_other.py").write_text("def test_other(): assert False\n")
    assert [path.name for path in marked_files(tmp_path)] == ["test_gpu.py"]
    kept, said = Kept(), list[str]()
    monkeypatch.setattr(gpu_tests, "_PATIENCE", 2)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of this test, not of those
    assert not run_gpu_tests(42, kept, said.append, tmp_path)
    ((content, cut),) = kept.writes
    assert cut == "its time of 40 s was over, after 3 of 4 tests"
    assert content["counts"] == {"passed": 1, "failed": 1, "skipped": 1}
    outcomes = {test["test"].split("::")[1]: test for test in content["tests"]}
    assert "sums" in outcomes["test_bad"]["said"] and outcomes["test_bad"]["outcome"] == "failed"
    assert outcomes["test_absent"]["said"] == "Skipped: no second GPU"
    assert any(line.startswith("failed: tests/test_gpu.py::test_bad") for line in said)


def test_without_tests_or_pytest_the_part_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    assert not run_gpu_tests(10, kept, quiet, tmp_path)
    assert kept.writes[-1][1] == "the tests are not beside the code: run this in a checkout"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not run_gpu_tests(10, kept, quiet)
    assert kept.writes[-1][1] == "pytest is not installed: pip install -e '.[dev]'"


def test_the_trials_are_those_of_compare(tmp_path: Path) -> None:
    """Its own parser takes the arguments; data that are not named are streets of the crop."""
    from experiments.compare import parser

    alone = parser().parse_args(GpuTrials().arguments(4, tmp_path))
    assert (alone.recipe, alone.jobs, alone.out, alone.data) == ("demo", 4, tmp_path, None)
    chosen = GpuTrials("camvid", ("unet", "hrnet:width=8"), seeds=(0, 1)).arguments(2, tmp_path)
    args = parser().parse_args(chosen)
    assert (args.models, args.seeds, args.wandb) == (("unet", "hrnet:width=8"), (0, 1), "off")
    assert args.data == "streets:height=360:width=480"
    real = GpuTrials(data_root=tmp_path).arguments(1, tmp_path)
    assert real[:2] == ["--recipe", "camvid"] and "--data" not in real
    packed = GpuTrials(per_device=3).arguments(2, tmp_path)
    args = parser().parse_args(packed)
    assert (args.jobs, args.per_device) == (6, 3)
    with pytest.raises(ValueError, match="did you mean 'unet'"):
        GpuTrials(models=("unt",)).request()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    stage.build(root)
    return root


@pytest.mark.parametrize("status", [0, None, 1])
def test_trials_are_listed_as_far_as_they_came(
    made: Path, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    limits: list[tuple[float, float]] = []

    def run_limited(
        command: list[str], seconds: float, log: Path, *, patience: float
    ) -> int | None:
        limits.append((seconds, patience))
        log.write_text("one trial failed\n")
        return status

    monkeypatch.setattr(gpu_trials, "run_limited", run_limited)
    started = made / "runs/smoke/unet-width=6/seed0"
    (started / "progress.json").write_text(json.dumps({"stage": "train", "step": 5, "steps": 12}))
    kept, trials = Kept(), GpuTrials("smoke", stage.MODELS)
    good = run_gpu_trials(trials, MACHINE, 60, kept, quiet, made / "runs")
    assert good == (status != 1) and limits == [(40, 20)]
    ((content, cut),) = kept.writes
    reasons = {0: None, None: "its time of 40 s was over", 1: "one trial failed"}
    assert cut == reasons[status]
    rows = content["trials"]
    assert [(row["model"], row["state"]) for row in rows] == [
        *((model, "done") for model in stage.MODELS),
        ("unet-width=6", "at train"),
    ]
    assert rows[-1]["step"] == 5 and 0 < rows[0]["miou"] < 1
    assert content["command"].startswith("python -m experiments.compare --recipe smoke")


def test_unfinished_trials_are_found_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under a recipe whose name holds the data set that was asked for."""
    trials = GpuTrials("camvid", ("unet:width=4",))
    trial = Trial(load(trials.request()), "unet:width=4", 0, tmp_path)
    trial.folder.mkdir(parents=True)
    (trial.folder / "progress.json").write_text('{"stage": "train", "step": 1, "steps": 9}')
    (trial.folder.parent / "seed1").mkdir()
    (trial.folder.parent / "seed1/progress.json").write_text('{"stage": "tra')  # for eyes alone
    monkeypatch.setattr(gpu_trials, "run_limited", lambda *_, **__: None)
    kept = Kept()
    assert run_gpu_trials(trials, MACHINE, 60, kept, quiet, tmp_path)
    assert [row["step"] for row in kept.writes[0][0]["trials"]] == [1]


def test_without_a_gpu_there_is_a_sentence_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(gpu_tests.ROOT)
    readme = gpu.README
    before = readme.read_bytes()
    assert gpu.main(["--out", str(tmp_path / "new")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("no GPU can be used here (torch ") and "nothing was written" in err
    assert list(tmp_path.iterdir()) == [] and readme.read_bytes() == before


def test_results_from_another_machine_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- gpu -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(gpu, "README", page)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    file = gpu_run.PartFile(tmp_path / MACHINE.slug / "throughput.json", MACHINE, 9)
    file.write({"roofline": asdict(SPEEDS), "rows": []}, None)
    for said in ("now", "already"):
        assert gpu.main(["--render"]) == 0
        assert capsys.readouterr().out.strip().endswith(said)
    text = page.read_text()
    assert "**NVIDIA A-1 80GB**" in text and "old" not in text
    assert text.startswith("before\n") and text.endswith("after\n")


def test_parts_by_name_and_number() -> None:
    assert gpu.NAMES == PARTS
    for text in ("3,1", "trials,tests", "tests, 3"):
        assert gpu.parser().parse_args(["--parts", text]).parts == ("tests", "trials")
    assert gpu.parser().parse_args([]).parts == PARTS
