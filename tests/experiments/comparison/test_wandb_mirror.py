"""The mirror that is rebuilt from results: what its files say, and what is replaced by what."""

import gzip
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import wandb
from PIL import Image

from datamodules import open_data
from experiments.analysis.intervals import Interval
from experiments.comparison import wandb_folder, wandb_sync
from experiments.comparison.wandb_sync import Version, send, write
from experiments.recipes import smoke
from experiments.scoring.prediction_files import write_prediction
from experiments.training import wandb_run, wandb_settings
from experiments.training.wandb_content import RunInit, init_of_trial
from experiments.trials.history import FIRST_LOSS, HISTORY
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import (
    BandMiou,
    Cost,
    Curve,
    Data,
    Failure,
    GroupMetrics,
    ImageMiou,
    Metrics,
    Timing,
)
from experiments.trials.results import read_results, write_record, write_result
from experiments.trials.trial import Trial
from experiments.wandb_mirror import main
from tests.experiments.ended_trials import finish
from tests.experiments.offline_runs import Written

DATA = open_data("streets:height=64:width=96:test=4", "test")
RECIPE = replace(smoke(), name="tiny", data="streets:height=64:width=96:test=4")
MODELS = ("unet:width=4", "segnet")
COST = Cost(
    params=600_000,
    gmacs=2.5,
    params_paper=600_000,
    paper_gflops_1024x2048=70.0,
    size=(64, 96),
    latency_ms=40.0,
    peak_memory_gb=1.5,
    peak_memory_kind="resident set",
    threads=1,
    device="cpu",
    precision="32-true",
)
POINTS = [{"step": s, "train/loss": 1 / s, "val/miou": s / 10, "val/iou/Road": 0.5} for s in (2, 4)]

INIT = RunInit(name="x", group=None, job_type="trial", config={"identity": "abc"})


def trial(out: Path, model: str, seed: int, miou: float = 0.5, recipe: Recipe = RECIPE) -> Trial:
    """A trial with points, counts and predictions."""
    made = Trial(recipe, model, seed, out)
    names, path = DATA.labels.names, made.result_path
    known = Data(name=recipe.data, split=recipe.test_split, num_images=4, classes=names, block=None)
    scores = Metrics(
        miou=miou,
        pixel_accuracy=0.9,
        num_classes_counted=len(names),
        iou=dict.fromkeys(names, miou) | {names[0]: None},
        groups={"a": GroupMetrics(miou=miou, pixel_accuracy=0.9, num_images=4)},
        image_miou=ImageMiou(mean=0.4, worst_decile=0.1),
        bands=BandMiou(pixels=(1,), within=(0.2,), beyond=(0.6,)),
    )
    curve = Curve(train=((2, 0.5), (4, 0.25)), val=((2, 0.2), (4, 0.4)), first_losses=(0.6, 0.5))
    parts = {"cost": COST, "timing": Timing(train_seconds=9.0, steps=4), "curve": curve}
    right = 4 * np.eye(len(names), dtype=int)  # a pixel of each image, and one taken for another
    confusion = (right + np.roll(right, 1, axis=1)).tolist()
    result = made.identity("d1").unscored(path, known).scored(confusion, scores)
    counts = np.ones((4, len(names)), np.int64)
    arrays = {"ids": DATA.ids, "groups": DATA.groups, "tp": counts, "fp": counts, "fn": counts}
    write_result(result.model_copy(update=parts), arrays)
    points = [{"step": 1, FIRST_LOSS: 0.6}, *POINTS]  # W&B hears of the curve alone
    (made.folder / HISTORY).write_text("".join(json.dumps(p) + "\n" for p in points))
    for i, name in enumerate(DATA.ids):
        classes = np.roll(DATA.mask(i), seed + 1, axis=1) % len(names)
        write_prediction(result.predictions / f"{name}.png", classes, DATA.labels.palette)
    return made


@pytest.fixture(scope="module", autouse=True)
def settled() -> Iterator[None]:
    """No account, and intervals known in advance."""
    known = {
        MODELS[0]: SimpleNamespace(miou=Interval(0.5, 0.45, 0.55, 0.025, 3.0)),
        MODELS[1]: SimpleNamespace(miou=Interval(0.5, reason="one seed")),
    }
    found = SimpleNamespace(model=known.get, answer="nothing is certain", did_not_train={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wandb_folder, "evidence", lambda *_, **__: found)
        patch.setattr(wandb_run, "has_account", lambda: False)
        yield
    wandb.teardown()  # W&B's own process goes with the runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a network, one of another, and one that failed, all mirrored once."""
    out = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        trial(out, MODELS[0], seed)
    trial(out, MODELS[1], 0)
    path = (failed := trial(out, MODELS[1], 1)).result_path
    lost = Failure(kind="diverged", reason="the loss is nan")
    write_record(path, failed.identity("d1").fail(path, lost))
    assert main([str(out)]) == 0
    return out


def offline(out: Path) -> dict[str, Written]:
    """What lies there, by the run's name."""
    found = [Written(folder) for folder in (out / "wandb").glob("offline-run-*")]
    named = {written.start.display_name: written for written in found}
    assert len(named) == len(found)
    return named


def test_every_trial_is_a_run_with_config_curves_scores_and_end(runs: Path) -> None:
    found = offline(runs)
    names = {f"{model} seed {seed}" for model in MODELS for seed in (0, 1)}
    (other,) = found.keys() - names
    assert names < found.keys()
    for model in MODELS:
        for seed in (0, 1):
            written, identity = (
                found[f"{model} seed {seed}"],
                Trial(RECIPE, model, seed, runs).identity(),
            )
            assert written.start.run_id.startswith(f"{identity.id}-")
            assert written.start.job_type == "trial"
            assert written.start.run_group == found[other].start.run_group
            assert written.config["model"] == model and written.config["seed"] == seed
            assert written.config["identity"] == identity.id
            assert FIRST_LOSS not in written.history
            assert written.config["recipe"] == json.loads(json.dumps(asdict(RECIPE)))
            for key in POINTS[0]:  # a panel comes at the last step
                assert written.history[key][:2] == [point[key] for point in POINTS]
            failed = (model, seed) == (MODELS[1], 1)
            assert written.exit_code == int(failed)
            assert written.summary.get("reason") == ("the loss is nan" if failed else None)
            assert written.summary.get("test/miou") == (None if failed else 0.5)
    scores = found[f"{MODELS[0]} seed 0"].summary
    assert scores["test/image_miou/worst_decile"] == 0.1
    assert scores["test/iou/" + DATA.labels.names[1]] == 0.5
    assert scores["cost/gmacs"] == 2.5
    assert scores["timing/train_seconds"] == 9.0
    assert not any("groups" in key or "bands" in key for key in scores)


def test_the_comparison_has_tables_with_intervals_and_the_front(runs: Path) -> None:
    written = next(w for w in offline(runs).values() if w.start.job_type == "comparison")
    assert written.config["recipe"]["name"] == "tiny"
    assert written.exit_code == 0
    tables = {}
    for path in written.files("*.table.json"):
        table = json.loads(path.read_text())
        tables[path.name.split("_")[0]] = [
            dict(zip(table["columns"], row, strict=True)) for row in table["data"]
        ]
    rows = {row["model"]: row for row in tables["comparison"]}
    assert rows[MODELS[0]]["seeds"] == 2 and rows[MODELS[1]]["seeds"] == 1
    assert rows[MODELS[0]]["mIoU low %"] == pytest.approx(45)
    assert rows[MODELS[0]]["mIoU high %"] == pytest.approx(55)
    assert rows[MODELS[1]]["mIoU low %"] is None
    assert rows[MODELS[0]]["GMACs"] == 2.5
    classes = {row["model"]: row for row in tables["IoU % of classes"]}
    assert classes[MODELS[1]][DATA.labels.names[1]] == 50.0
    assert classes[MODELS[1]][DATA.labels.names[0]] is None
    (front,) = written.files("*Pareto*.png")
    with Image.open(front) as picture:
        assert picture.width == 1200


def test_the_truth_lies_once_over_each_image(runs: Path) -> None:
    """In the comparison, under one prediction a network; a trial shows its own alone."""
    found = offline(runs)
    for name, written in found.items():
        if written.summary.get("reason"):
            assert not written.files("media/images/test/*")
            continue
        (masks,) = written.history["test/panel/all_masks"]
        comparison = written.start.job_type == "comparison"
        expected = {"truth", *MODELS} if comparison else {"prediction"}
        assert [set(some) for some in masks] == [expected] * 4, name
        if comparison:
            (names,) = written.history["test/panel/captions"]
            for shown, caption in zip(masks, names, strict=True):
                mask = Image.open(written.folder / "files" / shown["truth"]["path"])
                assert (np.array(mask) == DATA.mask(DATA.ids.index(caption))).all()
    (photo, *_) = found[f"{MODELS[0]} seed 0"].files("media/images/test/*.jpg")
    pixels = np.array(Image.open(photo), float)
    nearest, second, *_ = sorted(np.abs(pixels - DATA[i][0]).mean() for i in range(4))
    assert 2 * nearest < second  # a JPEG of one of the photos


def test_a_second_time_replaces_what_has_changed_and_nothing_else(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    shutil.copytree(runs, out)
    own = (
        out
        / "wandb"
        / f"offline-run-20200101_000000-{Trial(RECIPE, MODELS[0], 0, out).identity().id}"
    )
    own.mkdir()  # of training
    before = {path.name for path in (out / "wandb").iterdir()}
    assert main([str(out)]) == 0
    assert capsys.readouterr().out.count("there already") == 5
    assert {path.name for path in (out / "wandb").iterdir()} == before
    trial(out, MODELS[0], 1, miou=0.25)
    assert main([str(out)]) == 0
    assert capsys.readouterr().out.count("written") == 2  # the trial, and the comparison
    after = {path.name for path in (out / "wandb").iterdir()}
    assert len(after - before) == len(before - after) == 2
    assert own.name in after
    own.rmdir()
    assert offline(out)[f"{MODELS[0]} seed 1"].summary["test/miou"] == 0.25


def test_without_the_data_set_predictions_are_shown_in_their_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a published result its own curve."""
    made = trial(tmp_path, MODELS[0], 0, recipe=replace(RECIPE, data="camvid"))
    (made.folder / HISTORY).unlink()
    assert main([str(tmp_path)]) == 0
    assert "no photos: " in capsys.readouterr().out
    found = offline(tmp_path)
    written = found.pop(f"{MODELS[0]} seed 0")
    assert written.history["train/loss"] == [0.5, 0.25]
    assert written.history["val/miou"] == [0.2, 0.4]
    assert written.history["test/panel/count"] == [4]
    (comparison,) = found.values()
    (masks,) = comparison.history["test/panel/all_masks"]
    assert [set(some) for some in masks] == [{MODELS[0]}] * 4


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fill(run: Any) -> None:
        run.log({"a": 1})
        raise ValueError("broken")

    version = Version(INIT, "c", fill, [], [], {}, failed=False)
    with pytest.raises(ValueError, match="broken"):
        write(version, tmp_path)
    assert not list((tmp_path / "wandb").iterdir())


class Shelf:
    """A server in memory, which remembers the order of what was asked of it."""

    def __init__(self, copies: dict[str, str | None], full: bool = False) -> None:
        self.runs, self.full, self.events = copies, full, list[str]()

    def copies(self, identity: str) -> dict[str, str | None]:
        return dict(self.runs)

    def send(self, folder: Path) -> None:
        if self.full:
            raise ValueError("no room")
        self.events.append(f"send {folder.name}")

    def delete(self, run: str) -> None:
        self.events.append(f"delete {run}")


@pytest.mark.parametrize(
    ("copies", "events"),
    [
        ({}, ["send abc-new"]),
        ({"abc": "new"}, []),  # training sent it whole
        ({"abc": None}, ["send abc-new", "delete abc"]),  # a crash
        ({"abc": None, "abc-new": "new"}, ["delete abc"]),  # stopped between the two
        ({"abc-new": None}, ["send abc-new"]),  # stopped in the upload
        ({"abc-old": "old"}, ["send abc-new", "delete abc-old"]),
    ],
)
def test_the_new_version_is_there_before_the_old_one_goes(
    copies: dict[str, str | None], events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = Version(INIT, "new", lambda run: None, [], [], {}, failed=False)
    monkeypatch.setattr(wandb_sync, "write", lambda version, folder: (Path(version.id), True))
    shelf = Shelf(copies)
    assert send(version, Path(), shelf) == any("send" in event for event in events)
    assert shelf.events == events
    if "send abc-new" in events:
        shelf = Shelf(copies, full=True)
        with pytest.raises(ValueError, match="no room"):
            send(version, Path(), shelf)
        assert shelf.events == []


class Server(BaseHTTPRequestHandler):
    """As much of W&B's server as an upload asks for, with the runs it was sent."""

    runs: ClassVar[dict[str, dict[str, Any]]] = {}
    deleted: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        if self.path == "/graphql":
            body = json.loads(raw)
            answer = {"data": self._answer(body["query"], body.get("variables") or {})}
        else:
            answer = {}
            if self.path.endswith("/file_stream"):
                self._stream(self.path.split("/")[-2], json.loads(raw))
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_POST  # noqa: N815

    def _stream(self, run: str, sent: dict[str, Any]) -> None:
        for name, part in (sent.get("files") or {}).items():
            if name == "wandb-summary.json":
                self.runs[run]["summary"] |= json.loads(part["content"][-1])

    def _answer(self, query: str, values: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "P", "name": wandb_settings.PROJECT, "entity": {"id": "E", "name": "me"}}
        if "upsertBucket" in query:
            run = self.runs.setdefault(values["name"], {"summary": {}, "config": {}})
            run["config"] |= json.loads(values.get("config") or "{}")
            bucket = {"id": "B", "name": values["name"], "displayName": "x", "config": "{}"}
            bucket |= {"description": None, "sweepName": None, "historyLineCount": 0}
            bucket["project"] = project
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in query:
            return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": []}}
        if "createArtifact(" in query:  # a table, taken for one that is there
            sequence = {"id": "Q", "latestArtifact": None}
            return {
                "createArtifact": {
                    "artifact": {"id": "A", "state": "COMMITTED", "artifactSequence": sequence}
                }
            }
        if "useArtifact(" in query:
            return {"useArtifact": {"artifact": {"id": "A", "digest": "", "description": ""}}}
        if "deleteRun" in query:
            self.deleted.append(values["id"])
            del self.runs[values["id"]]
            return {"deleteRun": {"clientMutationId": "1"}}
        if "query Runs" in query:
            identity = json.loads(values["filters"])["config.identity"]
            names = [
                name
                for name, run in self.runs.items()
                if run["config"].get("identity", {}).get("value") == identity
            ]
            edges = [{"node": self._node(name), "cursor": name} for name in names]
            page = {"edges": edges, "pageInfo": {"endCursor": "", "hasNextPage": False}}
            return {"project": {"runCount": len(names), "runs": page} if self.runs else None}
        if "query Run(" in query:
            return {"project": {"run": self._node(values["name"])}}
        return {"viewer": {"id": "V", "entity": "me", "username": "me", "flags": "{}"}}

    def _node(self, name: str) -> dict[str, Any]:
        run = self.runs[name]
        texts = {"config": json.dumps(run["config"]), "summaryMetrics": json.dumps(run["summary"])}
        return {
            "id": name,
            "name": name,
            "state": "finished",
            "user": {"name": "me"},
            "systemMetrics": "{}",
            "displayName": name,
            "historyKeys": None,
            **texts,
        }


@pytest.mark.slow
def test_online_it_ends_with_one_run_of_each_kind_however_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """W&B's own client against a small server: uploads, looks, and deletes what is outdated."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb_run, "has_account", lambda: True)
    made = trial(tmp_path / "runs", MODELS[0], 0)
    id = made.identity().id
    Server.runs[id] = {
        "summary": {},
        "config": {"identity": {"value": id}},
    }
    try:
        assert main([str(made.out)]) == 0
        assert capsys.readouterr().out.count("written") == 2
        assert len(Server.runs) == 2
        assert Server.deleted == [id]  # what a crash had left
        (name,) = (run for run in Server.runs if run.startswith(id))
        assert Server.runs[name]["summary"]["test/miou"] == 0.5
        assert main([str(made.out)]) == 0
        assert capsys.readouterr().out.count("there already") == 2
        trial(made.out, MODELS[0], 0, miou=0.75)
        assert main([str(made.out)]) == 0
        assert len(Server.runs) == 2 and name in Server.deleted
    finally:
        wandb.teardown()
        server.shutdown()
        server.server_close()


def test_a_broken_wandb_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial(tmp_path, MODELS[0], 0)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("W&B failed: ")


def test_arguments_that_name_nothing_end_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "no results folder" in capsys.readouterr().err
    trial(tmp_path, MODELS[0], 0)
    assert main([str(tmp_path), "--mode", "online"]) == 2
    assert "no account" in capsys.readouterr().err
    trial(tmp_path, MODELS[1], 0, recipe=replace(RECIPE, lr=0.5))
    assert main([str(tmp_path)]) == 2
    assert "cannot share a table" in capsys.readouterr().err
    assert not (tmp_path / "wandb").exists()


@pytest.mark.parametrize("repeat", [0, 2])
def test_a_result_names_its_trial_as_training_does(tmp_path: Path, repeat: int) -> None:
    """Also once what was sent live has become a file."""
    made = Trial(RECIPE, MODELS[0], 3, tmp_path, repeat)
    finish(made)
    (result,) = read_results(tmp_path)
    assert result.id == made.identity().id
    assert init_of_trial(result, "g") == init_of_trial(made.identity(), "g")
