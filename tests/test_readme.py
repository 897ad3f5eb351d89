"""The READMEs: their examples run, their commands exist, their lists name every file."""

import json
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest

from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.results import read_prior, read_results

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments/results/camvid-quick"
README = (ROOT / "README.md").read_text()
ROOMS = [
    "models",
    "datamodules",
    "lightning_modules",
    *(f"experiments/{path.parent.name}" for path in sorted(ROOT.glob("experiments/*/__init__.py"))),
]
PAGES = [path for path in ROOT.rglob("*.md") if not {".venv", "runs"} & set(path.parts)]


def examples(page: str) -> dict[str, str]:
    """Python blocks of a README whose first line names a file, by that name."""
    blocks = re.findall(r"```python\n(# .*?)```", (ROOT / page).read_text(), re.DOTALL)
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


def commands(page: Path) -> list[list[str]]:
    """Every `python -m experiments...` of a page's code blocks, continued lines joined."""
    blocks = re.findall(r"```\w*\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    ours = [line for line in lines if line.strip().startswith("python -m experiments.")]
    return [shlex.split(line, comments=True)[2:] for line in ours]


def test_it_is_short() -> None:
    assert README.count("\n") <= 160


def test_the_example_network_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "readme_tiny.py").write_text(examples("models/README.md")["models/tiny.py"])
    monkeypatch.setitem(sys.modules["models.registry"].MODELS, "tiny", "readme_tiny:tiny")
    from models import build_model

    assert build_model("tiny:width=4", 5)(torch.zeros(1, 3, 40, 33)).shape == (1, 5, 40, 33)


def test_the_example_data_set_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datamodules import open_data
    from experiments.scoring.metrics import score

    monkeypatch.syspath_prepend(str(tmp_path))
    example = examples("datamodules/README.md")["datamodules/datasets/checker.py"]
    (tmp_path / "readme_checker.py").write_text(example)
    monkeypatch.setitem(
        sys.modules["datamodules.registry"].DATASETS, "checker", "readme_checker:Checker"
    )
    data = open_data("checker:size=32", "test")
    image, mask = data[2]
    assert (image.shape, mask.shape) == ((32, 32, 3), (32, 32))
    assert score(data, data.mask).metrics().miou == 1.0


def test_the_example_recipe_works(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(examples("README.md")["mine.py"])
    assert load(RecipeRequest(f"{tmp_path / 'mine.py'}:longer")).name == "longer"


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_is_missing_from_its_readme(room: str) -> None:
    text = (ROOT / room / "README.md").read_text()
    for path in (ROOT / room).rglob("*.py"):
        if path.name != "__init__.py":
            assert re.search(rf"\b{path.name}\b", text), path
    for name in re.findall(r"^\s*`?(\w+\.py)\b", text, re.MULTILINE):  # of a list of files
        assert list((ROOT / room).rglob(name)) or name in ("tiny.py", "checker.py"), name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_name_flags_that_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for module, *args in commands(page):
        main = import_module(module).main
        words = [args[0]] if module == "experiments.data" else []
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        named = {arg.partition("=")[0] for arg in args if arg.startswith("--")}
        assert named <= known, (module, named - known)


def test_the_results_table_is_what_the_result_files_say() -> None:
    from experiments.analysis.evidence import evidence
    from experiments.reporting.export import summary
    from experiments.reporting.tables import renew

    results = read_results(RESULTS)
    prior = read_prior(RESULTS, results)
    found = evidence(results, prior=prior.metrics.miou if prior else None)
    assert renew(README, "camvid-quick", summary(results, prior, found)) == README
    assert {result.model for result in results} == {
        "hrnetv2_w18_small_v1",
        "deeplabv3p:trunk=mobilenetv2_100",
        "unet:width=9",
    }


def test_the_matched_networks_are_what_the_result_file_says() -> None:
    from experiments.costs.flops import count

    page = (ROOT / "experiments/costs/README.md").read_text()
    rows = json.loads((RESULTS.parent / "match/gmacs-2.7.json").read_text())
    assert len(rows) == 6
    for row in rows:
        figures = (row["params_m"], row["gmacs"], row["train_s"])
        cells = " | ".join(f"{figure:.2f}" for figure in figures)
        assert f"| `{row['model']}` | {cells} |" in page
        assert abs(row["gmacs"] / 2.7 - 1) < 0.1
        now = count(row["model"], row["terms"]["num_classes"], tuple(row["terms"]["size"]))
        assert (now.params, now.gmacs) == (row["params_m"] * 1e6, row["gmacs"])


def test_the_speeds_of_reading_are_what_the_result_file_says() -> None:
    page = " ".join((ROOT / "datamodules/README.md").read_text().split())
    readers = json.loads((RESULTS.parent / "reading/2cores.json").read_text())["readers"]
    speed = {name: row["images_per_second"] for name, row in readers.items()}
    usual = max(speed["albumentations"], speed["torchvision"])
    for name, number in (("cache", f"{speed['cache']:.0f}"), ("files", f"{speed['files']:.1f}")):
        assert number in page, name
    assert f"{usual:.1f}" in page
    assert speed["cache"] >= 10 * usual and speed["files"] >= usual


def test_the_figures_of_gpus_are_what_the_result_files_say() -> None:
    from experiments.reporting.tables import renew
    from experiments.speed.gpu_tables import gpu_summary, kept

    page = (ROOT / "experiments/speed/README.md").read_text()
    assert renew(page, "gpu", gpu_summary(kept(RESULTS.parent / "gpu"))) == page


def test_the_ratios_of_speed_are_what_the_result_files_say() -> None:
    from experiments.reporting.tables import renew
    from experiments.speed.speed_ratios import markdown_table, read_benchmark

    page = (ROOT / "experiments/speed/README.md").read_text()
    kept = sorted((RESULTS.parent / "speed").glob("*.json"))
    assert kept
    shown = "\n\n".join(markdown_table(read_benchmark(path)) for path in kept)
    assert renew(page, "bench", shown) == page


def test_the_published_results_are_of_the_recipe_as_it_is() -> None:
    recipe = load(RecipeRequest("camvid-quick"))
    assert {result.hashes.recipe for result in read_results(RESULTS)} == {recipe.hash()}


def test_versions_agree() -> None:
    from experiments import __version__

    assert f"## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    lock = (ROOT / "requirements.lock").read_text()
    (ruff,) = re.findall(r"^ruff==(.*)$", lock, re.MULTILINE)
    assert f"rev: v{ruff}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
