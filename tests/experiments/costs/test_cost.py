"""The cost command: what it prints, writes and refuses."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import cost
from tests.commands import ROOT, exit_status


def test_the_papers_table_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`=` marks both figures of HRNetV2-W48; U-Net has no published row, an alias no row at all."""
    assert cost.main(["--models", "hrnet,hrnetv2_w48,unet", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines()[:-1])) <= 80
    (w48,) = (line.split() for line in text.splitlines() if "hrnetv2_w48" in line)
    assert w48[1:] == ["65.86", "65.33", "747.5", "696.2", "32,", "4"]
    (published,) = (line.split() for line in text.splitlines() if " published " in line)
    assert published[1:] == ["65.9", "=", "696.2", "="]
    (unet,) = (line.split() for line in text.splitlines() if " unet" in line)
    assert unet[1:] == ["31.04", "18.85", "1543.8", "1437.8", "16,", "1"]
    assert "unet: its paper prints neither" in text
    with (tmp_path / "cost.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["hrnetv2_w48", "unet"]


def test_layers_add_up_and_show_where_the_work_is(tmp_path: Path) -> None:
    """U-Net of width 2 by hand: at 64x64 its first layer multiplies 64 * 64 * 9 * 3 * 2 times."""
    assert cost.main(
        ["--models", "unet:width=2", "--size", "64x64", "--classes", "5", "--out", str(tmp_path)]
    ) == 0  # fmt: skip
    (profile,) = json.loads((tmp_path / "cost.json").read_text())
    layers = profile["layers"]
    assert layers[0] == {"stride": 1, "channels": 2, "macs": 64 * 64 * 9 * 3 * 2}
    assert layers[-1] == {"stride": 1, "channels": 5, "macs": 64 * 64 * 2 * 5}
    down, up = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16], [8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]
    assert [layer["stride"] for layer in layers] == [*down, *up, 1]
    assert sum(layer["macs"] for layer in layers) == round(profile["gmacs"] * 1e9)
    assert profile["params"] == profile["params_active"]
    # Two 3x3 convolutions and two norms a level.
    pairs = [(3, 2), (2, 4), (4, 8), (8, 16), (16, 32)]
    assert profile["params_trunk"] == sum(9 * (i * o + o * o) + 4 * o for i, o in pairs)
    assert profile["published"] == profile["difference_percent"] == {}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--models", "hrnt"), "unknown model 'hrnt'; did you mean 'hrnet'?"),
        (("--size", "1024"), "--size/--at is 1024: give height x width of at least 33"),
        (("--size", "32x64"), "of at least 33"),
        (("--batch", "0"), "--batch is 0: give a whole number from 1 to"),
        (("--runtime", "tvm"), "--runtime is tvm: give some of eager, compiled, openvino, onnxr"),
        (("--runtime", "eager,eager"), "each once, with commas between"),
        (("--runtime", "openvino"), "--runtime says what --measure times: add it"),
        (("--models", "unet:width=-1"), "unet:width is at least 1, got -1"),
        (("--models", "segnet:width=0"), "width is at least 1, got 0"),
        (("--again", "nowhere"), "no results folder at "),
        (("--again", "tests"), "no finished trial in tests: run a comparison first"),
    ],
)
def test_wrong_requests(
    args: tuple[str, str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(cost.main, *args, "--out", tmp_path / "cost") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert says in shown.err
    assert not (tmp_path / "cost").exists()


@pytest.mark.parametrize("command", ["cost", "ladder"])
@pytest.mark.parametrize("options", [["--help"], ["--sise", "64x64"], ["--models", "hrnt"]])
def test_what_needs_no_network_needs_no_torch(command: str, options: list[str]) -> None:
    code = (
        f"import sys; from experiments import {command}\n"
        f"try: {command}.main({options})\n"
        "except SystemExit: pass\n"
        "print({'torch', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"
