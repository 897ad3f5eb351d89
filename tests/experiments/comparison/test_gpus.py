"""Which GPUs a trial sees, by what nvidia-smi and CUDA_VISIBLE_DEVICES say."""

import re
from pathlib import Path

import pytest

from experiments.comparison import gpus as ours
from experiments.comparison.gpus import (
    Gpu,
    UnlistedError,
    gpus_here,
    label,
    parse_gpus,
    variables,
    visible_gpus,
)
from tests.experiments.comparison.four_gpus import GPUS, simulate


def test_a_line_of_nvidia_smi_is_a_gpu() -> None:
    """24000 MiB are 24000 * 1048576 bytes, 25.166 GB."""
    first, *_, last = parse_gpus(GPUS)
    assert (first.name, first.uuid) == ("0", "GPU-0aaa0000-1111-2222-3333-444455556666")
    assert first.free_gb == pytest.approx(25.166, abs=0.001)
    assert last.free_gb == pytest.approx(20.972, abs=0.001)


@pytest.mark.parametrize("text", ["", "\n", "No devices were found\n"])
def test_a_driver_without_a_gpu(text: str) -> None:
    assert parse_gpus(text) == []


def test_memory_that_is_not_told() -> None:
    assert parse_gpus("0, GPU-ab, [N/A]\n1, GPU-cd, [Not Supported]\n") == [
        Gpu("0", "GPU-ab", None),
        Gpu("1", "GPU-cd", None),
    ]


@pytest.mark.parametrize("text", ["NVIDIA-SMI has failed", "0, GPU-ab", "a,b,c", "0, GPU-[/b], 1"])
def test_another_answer_is_none(text: str) -> None:
    with pytest.raises(UnlistedError, match="where a line a GPU was asked for"):
        parse_gpus(text)


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        (None, "0 1 2 3"),
        ("", ""),
        ("2,0", "2 0"),
        (" 3 , 1 ", "3 1"),
        ("-1", ""),
        ("NoDevFiles", ""),
        ("1,-1,2", "1"),  # CUDA hides what follows
        ("GPU-2aaa,GPU-0", "GPU-2aaa GPU-0"),  # the beginning of a UUID will do
        ("MIG-1a2b,MIG-GPU-0/1/0", "MIG-1a2b MIG-GPU-0/1/0"),
    ],
)
def test_the_users_choice_is_kept_as_it_was_said(variable: str | None, names: str) -> None:
    seen = visible_gpus(parse_gpus(GPUS), variable)
    assert [gpu.name for gpu in seen] == names.split()


def test_a_uuid_brings_the_memory_of_its_gpu_and_a_part_has_none() -> None:
    listed = parse_gpus(GPUS)
    by_uuid, part = visible_gpus(listed, "GPU-3,MIG-1a2b")
    assert (by_uuid.free_gb, part.free_gb) == (listed[3].free_gb, None)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("0,7", "is '0,7' and this machine has no GPU '7' (nvidia-smi lists 0, 1, 2, 3)"),
        ("gpu0", "this machine has no GPU 'gpu0'"),
        ("MIG-[/b]", "this machine has no GPU 'MIG-[/b]'"),
        ("GPU-", "this machine has no GPU 'GPU-'"),  # of which there are four
        ("1,1", "names GPU 1 twice: name it once"),
        ("1,GPU-1", "names GPU GPU-1 twice"),
        ("MIG-a,MIG-a", "names GPU MIG-a twice"),
    ],
)
def test_what_is_not_there_is_refused(variable: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        visible_gpus(parse_gpus(GPUS), variable)


def test_a_machine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path, monkeypatch)
    assert [gpu.name for gpu in gpus_here()] == ["0", "1", "2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,2")
    assert [gpu.name for gpu in gpus_here()] == ["3", "2"]


def test_who_wants_no_gpu_does_not_wait_for_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tmp_path, monkeypatch, "broken", status=9)
    monkeypatch.setattr(ours, "_DEVICES", tmp_path)
    (tmp_path / "nvidia0").write_text("")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_here() == []


def test_without_nvidia_smi_the_drivers_files_tell_whether_a_gpu_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(ours, "_DEVICES", tmp_path)
    (tmp_path / "nvidiactl").write_text("")  # of the driver, not of a GPU
    assert gpus_here() == []
    (tmp_path / "nvidia0").write_text("")
    with pytest.raises(UnlistedError, match="told apart \\(nvidia-smi is not on the PATH\\)"):
        gpus_here()


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ("a\nDriver/library version mismatch", 18, "nvidia-smi says: Driver/library version"),
        ("", 9, "nvidia-smi says: status 9"),
        ("what?", 0, "nvidia-smi fails: it answered 'what?'"),
    ],
)
def test_an_nvidia_smi_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, says: str
) -> None:
    """Its words where a GPU is there, and no GPU where there is none, as in many images."""
    simulate(tmp_path, monkeypatch, answer, status)
    monkeypatch.setattr(ours, "_DEVICES", tmp_path)
    assert gpus_here() == []
    (tmp_path / "nvidia0").write_text("")
    with pytest.raises(UnlistedError) as error:
        gpus_here()
    assert says in str(error.value)


def test_a_trial_is_told_its_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are nvidia-smi's, as CUDA is told; the user's stay in the order they were meant."""
    two = [Gpu("2"), Gpu("3")]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert variables(two) == {"CUDA_VISIBLE_DEVICES": "2,3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,2,0")
    assert variables(two) == {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert variables([]) == {}


def test_what_is_shown_of_them() -> None:
    assert label([]) == ""
    assert label([Gpu("2")]) == "gpu 2"
    assert label([Gpu("2"), Gpu("10")]) == "gpus 2,10"
    assert label([Gpu("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")]) == "gpu GPU-8932f937"
