"""The README: its examples run, its commands exist, its tree is the tree."""

import json
import re
import sys
from pathlib import Path

import pytest

from experiments.trials.overrides import load_recipe

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments/results/camvid-quick"
README = (ROOT / "README.md").read_text()


def _examples() -> dict[str, str]:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


def test_the_example_network_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "readme_tiny.py").write_text(_examples()["models/tiny.py"])
    monkeypatch.setitem(sys.modules["models.registry"].MODELS, "tiny", "readme_tiny:tiny")
    from models import build_model

    assert build_model("tiny:width=4", 5)(torch.zeros(1, 3, 40, 33)).shape == (1, 5, 40, 33)


def test_the_example_data_set_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datamodules import open_data
    from experiments.scoring.metrics import score

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "readme_checker.py").write_text(_examples()["datamodules/checker.py"])
    monkeypatch.setitem(
        sys.modules["datamodules.registry"].DATASETS, "checker", "readme_checker:Checker"
    )
    data = open_data("checker:size=32", "test")
    image, mask = data[2]
    assert (image.shape, mask.shape) == ((32, 32, 3), (32, 32))
    assert score(data, data.mask).metrics()["miou"] == 1.0


def test_the_example_recipe_works(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_examples()["mine.py"])
    assert load_recipe(f"{tmp_path / 'mine.py'}:longer").name == "longer"


def test_the_tree_names_every_file() -> None:
    tree = README[README.index("## The tree") :]
    for package in ("models", "datamodules", "lightning_modules", "experiments"):
        for path in (ROOT / package).glob("*.py"):
            known_elsewhere = path.name == "__init__.py" or path.name == "table.py"
            assert known_elsewhere or f"  {path.name}" in tree, path


def test_the_commands_name_flags_that_exist() -> None:
    from experiments.compare import parser

    known = {flag for action in parser()._actions for flag in action.option_strings}
    for line in README.splitlines():
        if "experiments.compare" in line:
            assert set(re.findall(r"--[a-z-]+", line)) <= known, line


def test_the_results_table_is_what_the_result_files_say() -> None:
    from experiments.reporting.export import renew, summary
    from experiments.trials.results import read_prior, read_results

    results = read_results(RESULTS)
    (name,) = {result["recipe"]["name"] for result in results}
    assert renew(README, name, summary(results, read_prior(RESULTS, results))) == README
    assert {result["model"] for result in results} == {
        "hrnetv2_w18_small_v1",
        "deeplabv3p:trunk=mobilenetv2_100",
        "unet:width=9",
    }


def test_the_matched_networks_are_what_the_result_file_says() -> None:
    from experiments.costs.flops import count

    rows = json.loads((RESULTS.parent / "match/gmacs-2.7.json").read_text())
    assert len(rows) == 6
    for row in rows:
        figures = (row["params_m"], row["gmacs"], row["train_s"])
        cells = " | ".join(f"{figure:.2f}" for figure in figures)
        assert f"| `{row['model']}` | {cells} |" in README
        assert abs(row["gmacs"] / 2.7 - 1) < 0.1
        now = count(row["model"], row["terms"]["num_classes"], tuple(row["terms"]["size"]))
        assert now == {"params": row["params_m"] * 1e6, "gmacs": row["gmacs"]}


def test_the_speeds_of_reading_are_what_the_result_file_says() -> None:
    readers = json.loads((RESULTS.parent / "reading/2cores.json").read_text())["readers"]
    speed = {name: row["images_per_second"] for name, row in readers.items()}
    assert f"reads {speed['cache']:.0f} crops a second" in README
    assert f"{speed['files']:.1f} from the files, where albumentations and" in README
    usual = max(speed["albumentations"], speed["torchvision"])
    assert f"torchvision read {usual:.1f};" in README
    assert speed["cache"] >= 10 * usual and speed["files"] >= usual


def test_the_published_results_are_of_the_recipe_as_it_is() -> None:
    from experiments.trials.results import read_results

    recipe = load_recipe("camvid-quick")
    assert {result["hashes"]["recipe"] for result in read_results(RESULTS)} == {recipe.hash()}


def test_every_linked_file_exists() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("http") or (ROOT / link).is_file(), link
