"""What no network can be built from is refused in a sentence, before anything is built."""

import pytest

from experiments.trials.network_name import check_network
from models import known_models, model_options
from tests.commands import run


@pytest.mark.parametrize("name", [name for name in known_models() if "/" not in name])
def test_every_network_may_be_asked_for(name: str) -> None:
    check_network(name)
    if "width" in model_options(name):
        check_network(f"{name}:width=1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unet:width=0", "unet:width is at least 1, got 0"),
        ("hrnet:streams=-1", "hrnet:streams is at least 1, got -1"),
        ("unet:width=4.5", "takes a value of type int"),
        ("unett", "did you mean 'unet'"),
    ],
)
def test_what_it_refuses(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_network(text)


@pytest.mark.parametrize("command", ["compare --dry-run", "cost", "ladder"])
def test_commands_say_so_in_a_line(command: str) -> None:
    module, *options = command.split()
    status, text = run(f"experiments.{module}", "--models", "unet:width=0", *options)
    assert status == 2
    assert text.strip() == "unet:width is at least 1, got 0"
