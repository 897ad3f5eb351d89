"""Jobs as tasks of a real Ray: two nodes on this machine, of which one or the head goes away."""

import contextlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from experiments.comparison.trial_job import TrialJob
from experiments.engines import ray_engine, ray_process
from experiments.engines.engine import run_jobs
from experiments.engines.job import Job, ProcessState
from experiments.engines.ray_engine import RayEngine
from experiments.engines.request import EngineRequest, JobSize
from experiments.training.trial_request import Resources, request_of
from experiments.trials.data_check import data_hash
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.trial import Trial
from tests.commands import ROOT
from tests.experiments import here
from tests.experiments.engines.counting import CountingJob

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
HEAD = {**NODE, "include_dashboard": False}


@contextlib.contextmanager
def _head(**more: object) -> Iterator[Any]:
    """A cluster with its head alone, in a folder of its own with a short name, as its sockets need.

    It notes its address there too, and not in /tmp/ray, where it might be taken for the user's.
    """
    from ray.cluster_utils import Cluster

    found: Any
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        found = Cluster(initialize_head=True, head_node_args={**HEAD, **more})
    try:
        yield found
    finally:
        for node in [*found.worker_nodes, found.head_node]:
            if node is not None:
                _remove(found, node)
        found.shutdown()
        shutil.rmtree(folder)


def _remove(cluster: Any, node: Any) -> None:
    """Kill a node with all its processes."""
    started = [one.process for kind in node.all_processes.values() for one in kind]
    cluster.remove_node(node, allow_graceful=False)
    for process in started:
        process.wait(20)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The head and a node, which has something that the head has not."""
    with pytest.MonkeyPatch.context() as patch, _head() as found:
        patch.setenv("OMP_NUM_THREADS", "1")
        found.add_node(**NODE, resources={"second": 1})
        yield found


@pytest.fixture
def opened(cluster: Any, tmp_path: Path) -> Iterator[Callable[..., RayEngine]]:
    """Opens engines on the cluster, and looks whether they leave anything running."""
    engines: list[RayEngine] = []

    def open_one(**settings: Any) -> RayEngine:
        engines.append(_open(tmp_path, **{"address": cluster.address, **settings}))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.cancel()
    _nothing_runs(tmp_path)


def _open(folder: Path, size: JobSize | None = None, **settings: object) -> RayEngine:
    said = tuple((name, str(value)) for name, value in settings.items())
    return RayEngine.open(EngineRequest(name="ray", settings=said), size or JobSize(), folder)


def _nothing_runs(folder: Path) -> None:
    """No driver, and no command that works below a folder; and no probe is left there."""
    _until(lambda: not _running(str(folder)), 10)
    ours = psutil.Process().children(recursive=True)
    assert not _running("experiments.engines.ray_driver", ours)
    assert not list(folder.glob(".ray-probe*"))


def _running(said: object, among: Iterable[psutil.Process] | None = None) -> list[psutil.Process]:
    """Commands of modules whose arguments say this."""
    found = []
    for process in psutil.process_iter() if among is None else among:
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "-m" in line and any(str(said) in word for word in line):
                found.append(process)
    return found


def _until(condition: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _poll_until(engine: RayEngine, condition: Callable[[], object], seconds: float = 120) -> None:
    def polled() -> object:
        engine.poll()
        return condition()

    _until(polled, seconds)


def _finish(engine: RayEngine, jobs: Sequence[Job]) -> str:
    """Everything that is shown."""
    console = Console(file=io.StringIO(), width=200)
    run_jobs(engine, jobs, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_jobs_run_where_there_is_room(opened: Callable[..., RayEngine], tmp_path: Path) -> None:
    """And a command that fails fails alone; of its environment threads and GPUs are set for it."""
    jobs = [CountingJob.make(tmp_path, name) for name in "abc"]
    fails = CountingJob.make(tmp_path, "d", 1, "--status", "1")
    shown = _finish(opened(num_cpus=0.5, memory=0.1), [*jobs, fails])
    assert [job.state for job in jobs] == [ProcessState.DONE] * 3
    assert (fails.state, fails.note) == (ProcessState.FAILED, "exit status 1")
    for job in jobs:
        assert job.result["steps"] == [0, 1, 2] and job.result["starts"] == 1
        assert (job.result["OMP_NUM_THREADS"], job.result["CUDA_VISIBLE_DEVICES"]) == ("1", "")
        assert f"{job.name} is process" in job.log.read_text()
    assert ": running " in shown  # at least one, as a job may end between two looks
    assert "a: done" in shown


def test_the_address_is_that_of_the_environment(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    _open(tmp_path).cancel()
    _nothing_runs(tmp_path)


def test_a_job_that_is_told_to_end_goes_on(
    opened: Callable[..., RayEngine], tmp_path: Path
) -> None:
    goes_on = CountingJob.make(tmp_path, "a", 4, "--asked", "1")
    too_often = CountingJob.make(tmp_path, "b", 4, "--asked", "2")
    _finish(opened(requeues=1), [goes_on, too_often])
    assert goes_on.state is ProcessState.DONE
    assert (goes_on.result["steps"], goes_on.result["starts"]) == ([0, 1, 2, 3], 2)
    assert too_often.state is ProcessState.FAILED
    assert "was told to end 2 times: give the same command again" in too_often.note


def test_a_worker_is_killed(
    opened: Callable[..., RayEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command ends with it, and the job goes on; in vain it does not go on for ever."""
    monkeypatch.setattr(ray_engine, "PAUSE", 0.5)
    job = CountingJob.make(tmp_path, "a", 40)
    engine = opened(retries=1)
    engine.submit([job])
    _poll_until(engine, lambda: job.fraction > 0.2)
    _kill_worker(tmp_path)
    _poll_until(engine, lambda: job.state is ProcessState.WAITING)
    assert job.note == "its worker was killed; it goes on"
    _poll_until(engine, lambda: job.state.ended)
    assert (job.result["steps"], job.result["starts"]) == ([*range(40)], 2)

    job = CountingJob.make(tmp_path, "b", 10_000)
    engine.submit([job])
    for _ in range(2):
        _poll_until(engine, lambda: _running(tmp_path) and job.state is ProcessState.RUNNING)
        _kill_worker(tmp_path)
        _poll_until(engine, lambda: job.state is not ProcessState.RUNNING)
    assert job.state is ProcessState.FAILED
    assert job.note.startswith("its worker was killed (2 times); the same command goes on")


def _kill_worker(folder: Path) -> None:
    (command,) = _running(folder)
    worker = command.parent()
    assert "ray::" in " ".join(worker.cmdline())
    worker.kill()
    _until(lambda: not command.is_running() or command.status() == psutil.STATUS_ZOMBIE, 5)


def test_what_is_on_disk_counts_when_a_job_is_lost(
    opened: Callable[..., RayEngine], tmp_path: Path
) -> None:
    job = CountingJob.make(tmp_path, "a", 10_000)
    engine = opened()
    engine.submit([job])
    _poll_until(engine, lambda: job.state is ProcessState.RUNNING and _running(tmp_path))
    (job.folder / "result.json").write_text("{}")
    _kill_worker(tmp_path)
    _poll_until(engine, lambda: job.state is ProcessState.DONE)


def test_a_cancelled_job_leaves_nothing(opened: Callable[..., RayEngine], tmp_path: Path) -> None:
    jobs = [CountingJob.make(tmp_path, name, 10_000) for name in "abc"]
    engine = opened()
    engine.submit(jobs)
    _poll_until(engine, lambda: len(_running(tmp_path)) == 2)
    engine.cancel()
    assert [job.state for job in jobs] == [ProcessState.STOPPED] * 3
    _nothing_runs(tmp_path)


def test_nobody_outlives_the_command(cluster: Any, tmp_path: Path) -> None:
    """Also one that is killed ends its driver, and Ray its tasks."""
    script = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from tests.experiments.engines.counting import CountingJob as J\n"
        "from experiments.engines.engine import run_jobs\n"
        "from experiments.engines.ray_engine import RayEngine as E\n"
        "from experiments.engines.request import EngineRequest as R, JobSize as S\n"
        "out, said = Path(sys.argv[1]), (('address', sys.argv[2]),)\n"
        "run_jobs(E.open(R(name='ray', settings=said), S(), out), [J.make(out, 'a', 9999)], "
        "Console())"
    )
    command = [sys.executable, "-c", script, str(tmp_path), cluster.address]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _until(lambda: _running(tmp_path))
    process.kill()
    process.wait()
    _until(lambda: not _running(tmp_path), 10)


@pytest.mark.slow
def test_a_node_is_removed(cluster: Any, opened: Callable[..., RayEngine], tmp_path: Path) -> None:
    node = cluster.add_node(**NODE, resources={"third": 1})
    job = CountingJob.make(tmp_path, "a", 30)
    engine = opened(resources="third:1")
    engine.submit([job])
    _poll_until(engine, lambda: job.fraction > 0.2)
    (command,) = _running(tmp_path)
    _remove(cluster, node)
    _poll_until(engine, lambda: job.state is ProcessState.WAITING)
    assert job.note == "its node is gone; it goes on"
    _until(lambda: not command.is_running(), 10)
    node = cluster.add_node(**NODE, resources={"third": 1})
    _poll_until(engine, lambda: job.state.ended)
    assert (job.result["steps"], job.result["starts"]) == ([*range(30)], 2)
    _remove(cluster, node)


@pytest.mark.slow
def test_the_head_is_restarted(
    opened: Callable[..., RayEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray ends the driver, after some seconds here; another one goes on with what there is."""
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    monkeypatch.setattr(ray_engine, "PAUSE", 1.0)
    job = CountingJob.make(tmp_path, "a", 60)
    with _head() as first:
        address = first.address
        engine = opened(address=address)
        engine.submit([job])
        _poll_until(engine, lambda: job.fraction > 0.2)
        _remove(first, first.head_node)
        _poll_until(engine, lambda: job.state is ProcessState.WAITING)
        with _head(gcs_server_port=int(address.split(":")[1])) as second:
            assert second.address == address
            _poll_until(engine, lambda: job.state.ended)
    assert (job.result["steps"], job.result["starts"]) == ([*range(60)], 2)


@pytest.mark.slow
def test_a_cluster_that_does_not_come_back(
    opened: Callable[..., RayEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    monkeypatch.setattr(ray_engine, "PAUSE", 0.5)
    job = CountingJob.make(tmp_path, "a", 10_000)
    with _head() as only:
        engine = opened(address=only.address, patience=2)
        engine.submit([job])
        _poll_until(engine, lambda: job.state is ProcessState.RUNNING)
    _poll_until(engine, lambda: job.state.ended)
    assert job.note.startswith("the cluster has not come back in 2 s (no cluster of Ray runs at")


def test_nodes_that_do_not_see_the_folder(
    opened: Callable[..., RayEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job goes on from what lies here, and what it leaves there comes back, also in between."""
    monkeypatch.setattr(ray_engine, "PAUSE", 0.5)
    monkeypatch.setattr(ray_process, "leave_probe", lambda folder: folder / ".ray-probe")
    job = CountingJob.make(tmp_path, "a", 40)
    (job.folder / "states").mkdir(parents=True)
    (job.folder / "states" / "state.json").write_text('{"steps": [0, 1], "starts": 1}')
    (job.folder / "log.txt").write_text("before\n")
    engine = opened(sync=1)
    assert f"{tmp_path} is not seen by 2 of 2 nodes" in capsys.readouterr().err
    engine.submit([job])
    _poll_until(engine, lambda: len(_state(job)) > 4)
    assert job.fraction > 0
    (number,) = re.findall(r"a is process (\d+)", job.log.read_text())
    command = psutil.Process(int(number))
    assert str(tmp_path) not in " ".join(command.cmdline())
    command.parent().kill()
    _poll_until(engine, lambda: job.state.ended)
    assert (job.result["steps"], job.result["starts"]) == ([*range(40)], 3)
    log = job.log.read_text()
    assert log.startswith("before\n") and log.count("a is process") == 2


def _state(job: CountingJob) -> list[int]:
    steps: list[int] = json.loads((job.folder / "states" / "state.json").read_text())["steps"]
    return steps


def test_code_that_has_changed_is_refused(
    opened: Callable[..., RayEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "module_hash", lambda module: "before")
    job = CountingJob.make(tmp_path, "a")
    _finish(opened(), [job])
    assert job.state is ProcessState.FAILED
    assert "is not that of the command which sent it: have the same version" in job.note
    assert not list(job.folder.glob("states/*"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"adress": "auto"}, "--engine ray has no setting 'adress': it knows address, num_cpus,"),
        ({"num_cpus": "1.5"}, "num_cpus=1.5: Ray takes whole numbers above 1"),
        ({"num_cpus": "many"}, "num_cpus=many: give a number from 0"),
        ({"num_gpus": 2}, "num_gpus=2 does not fit --devices 1: a job takes a GPU for each"),
        ({"resources": "big"}, "resources=big: give NAME:AMOUNT, as resources=big:1"),
        ({"autoscaling": 1}, "autoscaling=1: give yes or no"),
        ({"address": "ray://head:10001"}, "is no address of a cluster: give host:port of its"),
        ({"address": "127.0.0.1:1"}, "no cluster of Ray runs at 127.0.0.1:1 ([Errno 111]"),
        ({"num_cpus": 9}, "a job takes 9 CPU, which no node of the cluster has: the largest has 1"),
        ({"num_gpus": 1}, "a job takes 1 CPU, 1 GPU, which no node of the cluster has: the"),
        ({"resources": "second:1+other:2"}, "1 second, 2 other, which no node of the cluster has"),
    ],
)
def test_wrong_settings(cluster: Any, tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        _open(tmp_path / "new" / "ray", **{"address": cluster.address, **settings})
    assert "\n" not in str(error.value)
    assert not [*tmp_path.iterdir()]
    _nothing_runs(tmp_path)


def test_what_ray_is_not_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--num-nodes is 2: a task of Ray runs on one node"):
        _open(tmp_path, JobSize(num_nodes=2))
    with pytest.raises(ValueError, match="--detach is for --engine slurm: tasks of Ray end with"):
        RayEngine.open(EngineRequest(name="ray", detach=True), JobSize(), tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="which is not installed: pip install -e"):
        _open(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_the_engine_itself_imports_no_ray() -> None:
    script = "import sys, experiments.engines.ray_engine as e; print('ray' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_trials_give_the_bits_of_one_machine(
    cluster: Any, opened: Callable[..., RayEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose node is removed in the middle of its training."""
    monkeypatch.setattr(ray_engine, "PAUSE", 0.5)
    node = cluster.add_node(**NODE)
    asked = RecipeRequest("smoke", ("steps=24", "val_every=6"))
    recipe = load(asked)
    data = data_hash(recipe, None)

    def trials(out: Path) -> list[Trial]:
        return [Trial(recipe, f"unet:width={width}", 0, out, request=asked) for width in (3, 4, 5)]

    def arguments(trial: Trial) -> list[str]:
        return request_of(trial, Resources(wandb="off")).arguments()

    for trial in trials(tmp_path / "local"):
        status, text = here.trial(*arguments(trial))
        assert status == 0, text
    out = tmp_path / "ray"
    jobs = [
        TrialJob(trial, trial.identity(data), arguments=arguments(trial)) for trial in trials(out)
    ]
    for job in jobs:
        job.folder.mkdir(parents=True)
    engine = opened()
    engine.submit(jobs)
    _poll_until(engine, lambda: any(_runs_on(node, job) for job in jobs))
    (job,) = [job for job in jobs if _runs_on(node, job)]
    _poll_until(engine, lambda: any(job.folder.glob("checkpoints/*")))
    _remove(cluster, node)
    _poll_until(engine, lambda: job.state is ProcessState.WAITING)
    assert job.note == "its node is gone; it goes on"
    _poll_until(engine, lambda: all(job.state.ended for job in jobs))
    assert [job.state for job in jobs] == [ProcessState.DONE] * 3
    assert {path: _bits(out / path) for path in _folders(out)} == {
        path: _bits(tmp_path / "local" / path) for path in _folders(tmp_path / "local")
    }


def _runs_on(node: Any, job: TrialJob) -> bool:
    ((raylet,),) = [kind for name, kind in node.all_processes.items() if name == "raylet"]
    below = psutil.Process(raylet.process.pid).children(recursive=True)
    return bool(_running(job.trial.model, below))


def _folders(out: Path) -> list[Path]:
    return sorted(path.parent.relative_to(out) for path in out.rglob("result.json"))


def _bits(folder: Path) -> dict[str, object]:
    """Of a trial, all that where it ran must not change."""
    result = json.loads((folder / "result.json").read_text())
    kept = ("confusion", "metrics", "curve", "per_image_sha256", "hashes")
    pictures = {path.name: path.read_bytes() for path in folder.glob("predictions/*.png")}
    assert len(pictures) == 6
    return {**pictures, **{key: result[key] for key in kept}}
