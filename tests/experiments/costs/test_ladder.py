"""The ladder command: the files it writes, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import ladder
from tests.commands import exit_status


def test_command_writes_its_files(
    camvid: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both parts in one call, with more networks than a row holds."""
    monkeypatch.setenv("COLUMNS", "80")
    models = "unet:width=8,hrnetv2_w18_small_v1,unet,deeplabv3p:trunk=mobilenetv2_100,unet:width=9"
    drawing = ["--models", models, "--size", "64x96", "--output", str(tmp_path / "new" / "steps")]
    data = ["--data", "camvid", "--data-root", str(camvid), "--workers", "1"]
    assert ladder.main([*drawing, *data, "--ceiling", str(tmp_path / "new" / "ceiling")]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines()[:-1])) <= 80 and "Bicyclist" in out
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"steps.svg", "steps.png", "ceiling.json", "ceiling.png"}
    for name in ("steps.png", "ceiling.png"):
        with Image.open(tmp_path / "new" / name) as image:
            assert np.asarray(image.convert("L")).std() > 5
    assert (tmp_path / "new" / "steps.svg").read_text().count("<svg") == 1
    assert str(tmp_path) not in (tmp_path / "new" / "ceiling.json").read_text()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("", r"nothing to show: name networks with --models or data with --data"),
        ("--models unt", r"unknown model 'unt'; did you mean 'unet'\? Known: .*hrnet.*"),
        ("--models unet:depth=3", r"unet has no option 'depth=3'.*"),
        ("--models unet --size 512", r"--size is 512: give height x width .*, as 360x480"),
        ("--models unet --size 32x512", r"--size is 32x512: .*"),
        ("--models deeplabv3p:output_stride=4", r"output_stride is 8 or 16, got 4.*"),
        ("--data kamvid", r"unknown data set 'kamvid'; did you mean 'camvid'.*"),
        ("--data camvid", r"camvid needs a folder .* --data-root"),
        ("--data streets --workers 0", r"--workers is 0: give a whole number from 1 to 1024"),
    ],
)
def test_wrong_requests(request_: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(ladder.main, *request_.split()) == 2
    assert re.fullmatch(said + r"\n", capsys.readouterr().err)
