"""Recipes: what is in the hash, what a wrong one says, and weights to start from."""

import dataclasses
import functools
import http.server
import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from datamodules import open_data
from experiments import compare
from experiments.recipes import RECIPES, demo, smoke
from experiments.run import main as run_trial
from experiments.training.initialisation import build_module, initial_weights
from experiments.trials.overrides import changed, changes, load
from experiments.trials.recipe import Recipe, RecipeRequest
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_results
from experiments.trials.trial import Trial, slug
from experiments.trials.tuning_budget import TuningBudget
from models import build_model
from tests.commands import run

BUDGET = TuningBudget(
    num_trials=4, seed=0, lr=0.01, weight_decay=5e-4, span=10.0, steps=3,
    train_split="train~rest", select_split="train~held",
)  # fmt: skip


def load_recipe(name: str, overrides: Sequence[str] = (), data: str | None = None) -> Recipe:
    return load(RecipeRequest(name, tuple(overrides), data))


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    text = RECIPES[name].__doc__ or ""
    for part in ("Command: `python -m experiments.compare", "Hardware and time:", "Expected:"):
        assert part in text, f"{name} does not state {part}"
    assert "Paper:" in text or name in ("smoke", "demo")


def test_the_papers_cityscapes_recipe() -> None:
    """HRNet's official configuration; the sum of its 19 class weights is added up by hand."""
    recipe = load_recipe("cityscapes")
    assert (recipe.crop, recipe.batch, recipe.steps) == ((512, 1024), 12, 120_000)
    assert (recipe.lr, recipe.weight_decay, recipe.power) == (0.01, 5e-4, 0.9)
    assert recipe.bn_momentum == 0.01
    assert isinstance(recipe.class_weights, tuple)
    assert len(recipe.class_weights) == 19
    assert sum(recipe.class_weights) == pytest.approx(19.0001, abs=1e-6)


def test_the_demos_class_weights_follow_from_its_training_pixels() -> None:
    """Inverse square roots of the shares, scaled to 1 on average over the pixels."""
    recipe = load_recipe("demo")
    train = open_data(recipe.data, "train")
    masks = (train.mask(i).ravel() for i in range(len(train.ids)))
    counts = sum(np.bincount(mask, minlength=256)[:11] for mask in masks)
    share = counts / np.sum(counts)
    weights = share**-0.5 / np.sum(share**0.5)
    assert recipe.class_weights == pytest.approx(weights, abs=0.005)


def test_every_field_but_the_name_is_in_the_hash() -> None:
    base = smoke()
    changed = {
        "data": "camvid", "crop": (40, 40), "batch": 2, "steps": 3, "lr": 0.5,
        "precision": "bf16-mixed", "micro_batch": 2, "momentum": 0.5, "weight_decay": 0.1,
        "power": 1.0, "scale": (1.0, 1.0), "flip": False, "photometric": "colour-jitter",
        "crop_on": "device", "compile": True, "deterministic": True, "own_code": "0",
        "no_decay": True, "head_lr": 10.0, "layer_decay": 0.5, "clip_norm": 1.0, "warmup": 2,
        "schedule": "cosine", "ema": 0.9, "loss": "ohem", "label_smoothing": 0.1,
        "aux_weight": 0.4, "optimizer": "adamw",
        "class_weights": (1.0,), "bn_momentum": 0.5, "init": "imagenet", "init_seed": 1,
        "data_seed": 1,
        "tuning": BUDGET,
        "val_every": 1, "train_split": "val", "val_split": "test", "test_split": "val",
    }  # fmt: skip
    together: dict[str, dict[str, Any]] = {  # with what they are of
        "betas": {"optimizer": "adamw", "betas": (0.5, 0.9)},
        "eps": {"optimizer": "adamw", "eps": 1e-4},
        "ohem_threshold": {"loss": "ohem", "ohem_threshold": 0.5},
        "ohem_pixels": {"loss": "ohem", "ohem_pixels": 5},
        "boundary_weight": {"aux_weight": 0.4, "boundary_weight": 1.0},
    }
    fields = {f.name for f in dataclasses.fields(Recipe)}
    assert fields == {*changed, *together, "name"}
    variants = [{k: v} for k, v in changed.items()] + [*together.values()]
    hashes = {dataclasses.replace(base, **fields).hash() for fields in variants}
    assert len(hashes) == len(variants)
    assert base.hash() not in hashes
    assert dataclasses.replace(base, name="other").hash() == base.hash()
    for field in dataclasses.fields(TuningBudget):
        value = getattr(BUDGET, field.name)
        other = dataclasses.replace(BUDGET, **{field.name: value + type(value)(1)})
        hashes.add(dataclasses.replace(base, tuning=other).hash())
    assert len(hashes) == len(variants) + len(dataclasses.fields(TuningBudget))


def test_later_fields_leave_older_hashes_alone() -> None:
    """Those that results were published with before there was an optimiser to choose."""
    known = {"smoke": "75ecd95dbc01", "demo": "f0f83703e609", "camvid-quick": "67bdf4c676ca",
             "camvid": "c69a68116a72", "cityscapes": "c56b545717dc"}  # fmt: skip
    assert {name: load_recipe(name).hash() for name in known} == known


def test_set_is_typed_and_shows_in_the_name() -> None:
    recipe = load_recipe(
        "smoke",
        ["lr=0.5", "crop=40x56", "scale=0.5,1", "flip=false", "micro_batch=2", "data_seed=none"],
    )
    assert (recipe.lr, recipe.crop, recipe.scale) == (0.5, (40, 56), (0.5, 1.0))
    assert (recipe.flip, recipe.micro_batch, recipe.data_seed) == (False, 2, None)
    assert recipe.name.startswith("smoke+crop=40x56+")
    assert "+lr=0.5" in recipe.name
    assert load_recipe("smoke", data="streets:height=64").name == "smoke+data=streets:height=64"


def test_changes_are_what_set_takes() -> None:
    """All but the name, which follows from them, and the tuning, which a search makes."""
    base = load_recipe("smoke")
    other = dataclasses.replace(
        base, lr=1 / 3, crop=(40, 56), flip=False, micro_batch=2, class_weights=(0.1, 1e-7),
        test_split="train~held",
    )  # fmt: skip
    found = changes(base, dataclasses.replace(other, name="tuned", tuning=BUDGET))
    assert len(found) == 6
    assert dataclasses.replace(load_recipe("smoke", found), name="smoke") == other
    assert changed(base, found) == other
    assert changes(other, other) == []


def test_another_data_set_does_not_take_over_class_weights() -> None:
    assert load_recipe("demo", data="streets:height=64").class_weights == demo().class_weights
    recipe = load_recipe("demo", data="camvid")
    assert recipe.class_weights is None
    assert recipe.name == "demo+class_weights=None+data=camvid"
    assert load_recipe("demo", ["class_weights=1,2"], data="camvid").class_weights == (1, 2)


@pytest.mark.parametrize(
    ("recipe", "change", "says"),
    [
        ("smok", "", "unknown recipe 'smok'; did you mean 'smoke'?"),
        ("smoke", "learning_rate=1", "recipes have no field 'learning_rate'"),
        ("smoke", "tuning=none", "recipes have no field 'tuning'"),
        ("smoke", "stesp=1", "did you mean 'steps'?"),
        ("smoke", "steps=many", "--set steps=many: steps takes a value of type int"),
        ("smoke", "crop=40", "--set crop=40: crop takes a value of type tuple[int, int]"),
        ("smoke", "flip=maybe", "flip takes a value of type bool"),
        ("smoke", "lr", "--set lr: lr takes a value of type float"),
        ("smoke", "lr=-1", "lr is -1.0, needed is lr (above 0)"),
        ("smoke", "batch=0", "batch is 0, needed is batch (at least 1)"),
        ("smoke", "crop=16x64", "crop is (16, 64), needed is crop (two sides of at least 33)"),
        ("smoke", "init=imagnet", "(one of random, imagenet; did you mean imagenet?): change it"),
        ("smoke", "precision=fp16", "precision (one of 32-true, tf32, bf16-mixed, 16-mixed)"),
        ("smoke", "micro_batch=9", "micro_batch (1 to batch)"),
        ("smoke", "loss=ohme", "loss (ce, ohem, focal, dice, lovasz, file.py:function, or a sum"),
        ("smoke", "loss=ohme", "as ce+0.5*dice; did you mean ohem?): change it with --set loss="),
        ("smoke", "loss=ce+0.5*dise", "did you mean dice?"),
        ("smoke", "loss=ce+ce", "loss is 'ce+ce', needed is loss"),
        ("smoke", "loss=ce+0*dice", "loss is 'ce+0*dice', needed is loss"),
        ("smoke", "loss=ce+x*dice", "loss is 'ce+x*dice', needed is loss"),
        ("smoke", "loss=missing.py:mine", "no file at"),
        ("smoke", "optimizer=adam", "one of sgd, adamw; did you mean adamw?, or file.py:function"),
        ("smoke", "schedule=cosin", "did you mean cosine?"),
        ("smoke", "class_weights=median-freq", "numbers, or one of median-frequency, inverse-sqrt"),
        ("smoke", "class_weights=1,x", "class_weights is '1,x', needed is class_weights (numbers,"),
        ("smoke", "own_code=1", "recipes have no field 'own_code'"),
        ("missing.py:mine", "", "no recipe file at"),
    ],
)
def test_wrong_requests_say_what_is_needed(recipe: str, change: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        load_recipe(recipe, [change] if change else [])
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ("optimizer=adamw momentum=0.8", "momentum=0.8 is of sgd, and optimizer is adamw"),
        ("betas=0.5,0.9", "betas=(0.5, 0.9) is of adamw, and optimizer is sgd"),
        ("eps=1e-4", "eps=0.0001 is of adamw, and optimizer is sgd"),
        ("schedule=cosine power=2", "power is of the schedule poly, and schedule is cosine"),
        ("warmup=12", "warmup takes 12 of 12 steps"),
        ("loss=dice micro_batch=2", "the loss dice is of the whole batch and no sum over parts"),
        ("loss=ce+lovasz micro_batch=2", "the loss lovasz is of the whole batch"),
        ("loss=dice class_weights=inverse-sqrt", "class_weights are of ce and ohem, and loss is"),
        ("loss=ohem label_smoothing=0.1", "label_smoothing is of ce, and loss is ohem"),
        ("ohem_pixels=5", "ohem_pixels is of ohem, and loss is ce"),
        ("boundary_weight=2", "boundary_weight is of a training head, and with aux_weight 0"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    changes: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, before any work; each of them with what it is of is taken."""
    out = tmp_path / "runs"
    given = [f"--set={change}" for change in changes.split()]
    assert compare.main(["--recipe", "smoke", *given, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not out.exists()


OWN = """
import torch
def flat(logits, mask):
    return logits.square().mean()
def slow(groups):
    return torch.optim.SGD(groups, momentum=0.5)
"""


def test_ones_own_loss_and_optimiser_are_in_the_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And are named before any work where they are not there; a micro-batch is refused."""
    path = tmp_path / "own.py"
    path.write_text(OWN)
    asked = [f"loss=ce+0.1*{path}:flat", f"optimizer={path}:slow"]
    recipe = load_recipe("smoke", asked)
    assert [term.weight for term in recipe.loss_terms] == [1, 0.1]
    assert load_recipe("smoke", asked).hash() == recipe.hash()
    path.write_text(OWN + "# another\n")
    assert load_recipe("smoke", asked).hash() != recipe.hash()
    with pytest.raises(ValueError, match="has no function 'falt'; did you mean 'flat'"):
        load_recipe("smoke", [f"loss={path}:falt"])
    with pytest.raises(ValueError, match="is of the whole batch and no sum"):
        load_recipe("smoke", [*asked, "micro_batch=2"])
    path.write_text("def flat(:\n")
    with pytest.raises(ValueError, match="is no Python that runs"):
        load_recipe("smoke", asked)


WRONG: dict[str, tuple[Any, ...]] = {
    "name": ("", " ", None),
    "data": ("", 3),
    "crop": ((48,), (48, 48, 48), (48.0, 48), [48, 48], 48, (48, math.nan)),
    "batch": (0, -1, 2.5, True, math.inf, "8"),
    "steps": (0, 1e3, None),
    "val_every": (0, math.inf),
    "lr": (0, -1, math.inf, math.nan, "0.1", None, True),
    "momentum": (1, -0.1, math.nan),
    "bn_momentum": (0, 1.1, math.nan),
    "weight_decay": (-1, math.inf, math.nan),
    "power": (-1, math.inf, math.nan),
    "scale": ((0.5, math.inf), (math.nan, 1), (0, 1), (2, 1), (1,), 1, (-math.inf, 1)),
    "flip": (1, "yes", None),
    "micro_batch": (0, -1, 10**6, 1.5, math.nan),
    "class_weights": ("mean", (), (0.0, 0.0), (1.0, math.nan), (math.inf,), (-1.0, 1.0), [1.0]),
    "init_seed": (-1, 2**64, 0.5, math.nan),
    "data_seed": (-1, 2**64, "7"),
    "precision": ("fp16", None, ("32-true",)),
    "photometric": ("", None),
    "crop_on": ("gpu",),
    "compile": ("yes", 1, None),
    "deterministic": ("true", 0),
    "init": ("imagnet",),
    "optimizer": ("adam", "", None, "own.py", "own.txt:f"),
    "betas": ((0.9,), (0.9, 1.0), (-0.1, 0.9), 0.9),
    "eps": (0, -1, math.nan),
    "no_decay": ("yes", 1),
    "head_lr": (0, math.inf),
    "layer_decay": (0, 1.5, math.nan),
    "clip_norm": (0, -1, math.nan, math.inf),
    "schedule": ("linear", None),
    "warmup": (-1, 1.5, True),
    "ema": (1, -0.1, math.nan),
    "loss": ("", "ohme", None, "ce+", "-1*ce", "inf*ce", "ce*0.5"),
    "label_smoothing": (1, -0.1, math.nan),
    "ohem_threshold": (0, math.nan),
    "ohem_pixels": (0, 48 * 64 + 1, 1.5),
    "aux_weight": (-1, math.nan),
    "boundary_weight": (-1, math.inf),
    "own_code": ("", 1),
    "train_split": ("", 1),
    "val_split": ("",),
    "test_split": (None,),
}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Recipe)])
def test_no_field_takes_what_training_cannot(field: str) -> None:
    if field == "tuning":  # a value with checks of its own
        wrongs: list[dict[str, Any]]
        wrongs = [{"seed": -1}, {"lr": math.inf}, {"span": math.nan}, {"num_trials": 0}]
        for wrong in wrongs:
            with pytest.raises(ValueError, match=f"has {next(iter(wrong))} .* with --tune N"):
                dataclasses.replace(BUDGET, **wrong)
        return
    for value in WRONG[field]:
        with pytest.raises(
            ValueError, match=rf"^recipe .*: {field} is .* --set {field}="
        ) as raised:
            dataclasses.replace(smoke(), **{field: value})
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [
    "lr=inf", "lr=nan", "power=nan", "scale=0.5,inf", "micro_batch=0", "data_seed=-1",
    "init_seed=18446744073709551616", "weight_decay=1e999",
])  # fmt: skip
def test_odd_numbers_are_refused_before_any_work(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    assert compare.main(["--recipe", "smoke", "--set", change, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"--set {change.split('=')[0]}=" in said
    assert not out.exists()


def test_the_largest_seed_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout is reseeded at each step by a multiple of it."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    seed = f"{2**64 - 1}"
    own = [f"--set={field}={value}" for field, value in (
        ("steps", 2), ("val_every", 2), ("data_seed", seed), ("init_seed", seed)
    )]  # fmt: skip
    own += ["--recipe", "smoke", "--workers", "0", "--wandb", "off", "--out", str(tmp_path)]
    assert run_trial(["--model", "unet:width=4", *own]) == 0


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from experiments.recipes import smoke\n"
        "def short():\n    return replace(smoke(), name='short', steps=2)\n"
        "def wrong():\n    return 3\n"
    )
    assert load_recipe(f"{path}:short").steps == 2
    with pytest.raises(ValueError, match="has no function 'shrot'; did you mean 'short'"):
        load_recipe(f"{path}:shrot")
    with pytest.raises(ValueError, match="returned int: a Recipe is needed"):
        load_recipe(f"{path}:wrong")


# --- Weights to start from.

RESNET, SHOWN = "deeplabv3:trunk=resnet18", "imagenet (resnet18.a1_in1k)"
FILE, MODEL = "resnet18.a1_in1k.safetensors", "timm/resnet18.a1_in1k/resolve/main/model.safetensors"


def _weights(path: Path) -> None:
    torch.manual_seed(7)
    path.parent.mkdir(parents=True)
    save_file(timm.create_model("resnet18").state_dict(), path)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """The address of a server that has the file of ResNet-18."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    _weights(tmp_path / "server" / MODEL)
    handler = functools.partial(Quiet, directory=str(tmp_path / "server"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_compare_from_imagenet_weights(
    tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command as a user gives it: without network, with it, and after training."""
    home, out = tmp_path / "torch", tmp_path / "runs"
    command = ("experiments.compare", "--recipe", "smoke", "--wandb", "off", "--out", out,
               "--set", "init=imagenet", "--set", "steps=2", "--models", RESNET)  # fmt: skip
    caches = {"TORCH_HOME": str(home), "HF_HOME": str(tmp_path / "hf")}
    status, text = run(*command, **caches, HF_HUB_OFFLINE="1")
    assert status == 2
    assert len(text.strip().splitlines()) == 1
    place = home / "hub" / "checkpoints" / FILE
    for part in (f"download https://huggingface.co/{MODEL} ", str(place), "licence: apache-2.0"):
        assert part in text
    assert not out.exists()

    status, text = run(*command, **caches, HF_ENDPOINT=hub)
    assert status == 0, text
    assert f"fetching {hub}/{MODEL}" in text
    assert SHOWN in " ".join(text.split())
    assert place.read_bytes() == (tmp_path / "server" / MODEL).read_bytes()
    (result,) = read_results(out)
    assert isinstance(result, FinishedTrial) and result.init
    assert result.initial_weights == SHOWN
    assert result.init.kind == "imagenet"
    assert result.init.licence == "apache-2.0"
    assert len(result.init.sha256 or "") == 64
    assert result.recipe is not None
    page = out / slug(result.recipe.name) / "report.html"
    assert f"<small>{SHOWN}</small>" in page.read_text()

    place.unlink()  # what has finished is shown without the file
    monkeypatch.setattr(torch.hub, "_hub_dir", str(home / "hub"))
    monkeypatch.setattr("models.imagenet.constants.HF_HUB_OFFLINE", True)
    assert compare.main([str(part) for part in command[1:]]) == 0
    assert SHOWN in " ".join(capsys.readouterr().out.split())

    (checkpoint,) = (result.path.parent / "checkpoints").glob("step*2.ckpt")
    model = build_model(RESNET, 11, weights=checkpoint)
    assert model.load_report.complete  # type: ignore[union-attr]

    result.path.unlink()  # as is what was stopped, and then names what it started from
    checkpoint.unlink()
    status, text = run(*command, **caches, HF_HUB_OFFLINE="1")
    assert status == 0, text
    (again,) = read_results(out)
    assert isinstance(again, FinishedTrial)
    assert (again.init, again.confusion) == (result.init, result.confusion)


def test_the_head_and_the_draws_are_those_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    _weights(tmp_path / "checkpoints" / FILE)
    data, states, draws = open_data(smoke().data, "train"), [], []
    for init in ("random", "imagenet"):
        trial = Trial(dataclasses.replace(smoke(), init=init), RESNET, 3, tmp_path)
        model = build_module(trial, data.labels.names).model
        states.append(model.state_dict())
        draws.append(torch.rand(3))
        assert initial_weights(trial, model).kind == init
    for name, tensor in states[0].items():
        if not name.startswith("trunk."):
            assert torch.equal(tensor, states[1][name])
        elif tensor.ndim == 4:
            assert not torch.equal(tensor, states[1][name])
    assert torch.equal(*draws)


def test_networks_without_imagenet_weights_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--dry-run"]):
        models = f"unet:width=8,{RESNET},resunet"
        command = ["--recipe", "smoke", "--set", "init=imagenet", "--models", models]
        assert compare.main([*command, "--out", str(tmp_path / "runs"), *more]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "no ImageNet weights exist for unet:width=8, resunet: leave them out" in shown.err
        assert len(shown.err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_results_of_before_are_of_their_recipes_weights() -> None:
    kept = read_results(Path(compare.__file__).parent / "results" / "camvid-quick")
    assert {result.initial_weights for result in finished(kept)} == {"random"}
    assert all(result.init is None for result in finished(kept))
