"""W&B's own variables are honoured, and a flag goes before them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from experiments import wandb_mirror
from experiments.recipes import smoke
from experiments.training.wandb_content import RunInit
from experiments.training.wandb_run import Mirror
from experiments.training.wandb_settings import asked_mode, project_path
from experiments.trials.environment import WandbMode
from experiments.trials.trial import Trial
from tests.commands import ROOT
from tests.experiments.ended_trials import finish
from tests.experiments.offline_runs import Written

FLAGS: tuple[WandbMode, ...] = ("online", "offline", "off")
MODES = {
    "": None, "online": "online", "run": "online", "shared": "online", " Online ": "online",
    "offline": "offline", "dryrun": "offline", "disabled": "off", "DISABLED": "off",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the user's, no account, and W&B's process gone in the end."""
    for name in ("MODE", "DISABLED", "PROJECT", "ENTITY", "DIR", "API_KEY"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    yield
    wandb.teardown()


def _mirror(folder: Path, mode: WandbMode | None = None, id: str = "x") -> Mirror:
    init = RunInit(name=id, group=None, job_type="trial", config={"identity": id})
    return Mirror(folder, mode, id, init)


def _runs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("offline-run-*"))


@pytest.mark.parametrize("said", MODES)
def test_the_mode_is_the_variables_unless_a_flag_says(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", said)
    assert asked_mode(None) == MODES[said]
    assert [asked_mode(flag) for flag in FLAGS] == list(FLAGS)


OFF = {"true": True, "1": True, "YES": True, "false": False, "0": False, "": False}


@pytest.mark.parametrize(("said", "off"), OFF.items())
def test_disabled_is_a_word_for_off(said: str, off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DISABLED", said)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert asked_mode(None) == ("off" if off else "offline")
    assert asked_mode("online") == "online"


@pytest.mark.parametrize(("name", "value"), [("MODE", "disabled"), ("DISABLED", "true")])
def test_nothing_is_written_where_wandb_is_off_and_a_flag_writes(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"WANDB_{name}", value)
    run = _mirror(tmp_path / "a")
    run.log({"step": 1, "a": 1})
    run.close()
    assert not list(tmp_path.iterdir())
    _mirror(tmp_path / "a", "offline").close()
    assert len(_runs(tmp_path)) == 1


def test_an_unknown_mode_is_said_in_one_sentence_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "ofline")
    run = _mirror(tmp_path)
    run.log({"a": 1})
    run.close()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "WANDB_MODE is 'ofline': set it to online, " in said
    assert not list(tmp_path.iterdir())


def test_project_entity_and_folder_are_the_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project_path() == "segmentation-lab"
    monkeypatch.setenv("WANDB_PROJECT", "roads")
    assert project_path() == "roads"
    monkeypatch.setenv("WANDB_ENTITY", "group")
    assert project_path() == "group/roads"
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    whole = []
    for id in ("x", "x", "y"):  # parts of a run are told from other runs of the folder
        run = _mirror(tmp_path / "trial", "offline", id)
        whole.append(run.whole)
        run.close()
    assert whole == [True, False, True]
    found = _runs(tmp_path)
    assert {path.parent for path in found} == {tmp_path / "elsewhere" / "wandb"}
    start = Written(found[-1]).start
    assert (start.project, start.entity) == ("roads", "group")
    assert not (tmp_path / "trial").exists()


def test_rebuilding_honours_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial(smoke(), "unet:width=4", 0, tmp_path / "runs")
    finish(trial)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mirror.main([str(trial.out)]) == 2
    assert capsys.readouterr().err == (
        "W&B is off by WANDB_MODE or WANDB_DISABLED: give --mode, or unset it\n"
    )
    assert not _runs(tmp_path)


def test_the_readmes_pattern_finds_every_run_of_a_comparison(tmp_path: Path) -> None:
    trial = Trial(smoke(), "unet:width=4", 0, tmp_path / "runs")
    for folder, id in ((trial.folder, "trial"), (trial.out, "comparison")):
        _mirror(folder, "offline", id).close()
    text = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"`(find runs .*? -exec wandb sync .*?)`", text)
    shown = command.replace("wandb sync", "printf '%s\\n'")
    done = subprocess.run(shown, shell=True, cwd=tmp_path, text=True, capture_output=True)
    assert sorted(tmp_path / line for line in done.stdout.splitlines()) == _runs(tmp_path)
    assert len(_runs(tmp_path)) == 2
