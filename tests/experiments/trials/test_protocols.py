"""Protocols: their phrases and hashes, and what the command line makes of a text."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.recipes import RECIPES
from experiments.trials.protocols import (
    PROTOCOLS,
    EvaluationProtocol,
    Protocol,
    parse_protocol,
)


def test_the_default_is_what_published_results_say() -> None:
    """Their hash, too: 63b6496043e9 is in each of them."""
    assert str(Protocol()) == "whole image, single scale, no flip"
    protocol = RECIPES["camvid-quick"]().protocol
    assert protocol == EvaluationProtocol(split="test", passes=Protocol())
    assert protocol.describe() == {
        "mode": "whole image, single scale, no flip",
        "size": "the label file's own",
        "selection": "the last step's weights",
    }
    assert protocol.hash() == "63b6496043e9"
    assert RECIPES["cityscapes"]().protocol.hash() == "0b22624fc8d5"


def _hash(passes: Protocol, split: str = "test") -> str | None:
    return EvaluationProtocol(split=split, passes=passes).hash()


def test_each_field_makes_another_hash_and_another_phrase() -> None:
    made = [
        *PROTOCOLS.values(),
        Protocol(scales=(0.5,)),
        Protocol(scales=(0.5, 1.0)),
        Protocol(window=(512, 1024), stride=(341, 683)),
        Protocol(window=(512, 1024), stride=(341, 682)),
        Protocol(window=(512, 1024), stride=(341, 683), gaussian=True, flip=True),
    ]
    assert len({_hash(p) for p in made}) == len(made)
    assert len({str(p) for p in made}) == len(made)
    assert len({p.text for p in made}) == len(made)
    assert _hash(made[0], "test") != _hash(made[0], "val")


def test_what_nobody_told_has_no_hash_and_an_unknown_selection_keeps_no_row_out() -> None:
    assert EvaluationProtocol(split="test", passes=None).hash() is None
    known = EvaluationProtocol(split="test", passes=Protocol())
    unknown = replace(known, selection="unknown")
    chosen = replace(known, selection="by hand", checkpoint="step00000002.ckpt")
    assert unknown.hash() == known.hash() != chosen.hash()
    assert replace(known, precision="32-true").hash() != known.hash()


def test_phrases_name_what_papers_name() -> None:
    """As the columns of the published numbers: `multi-scale`, `flip`."""
    assert "multi-scale, flip" in str(PROTOCOLS["multi-scale"])
    assert str(PROTOCOLS["sliding"]) == (
        "windows of 512x1024 every 341x683 with Gaussian weights, single scale, no flip"
    )
    described = EvaluationProtocol(split="val", passes=PROTOCOLS["multi-scale"]).describe()
    assert "scales 0.5, 0.75, 1, 1.25, 1.5, 1.75" in described["mode"]
    assert described["averaged"] == "softmax of every pass"


def test_reads_options() -> None:
    text = "scales=0.5,1,2:flip:window=512x1024:stride=341x683:gaussian"
    window, stride = (512, 1024), (341, 683)
    wanted = Protocol(
        scales=(0.5, 1.0, 2.0), flip=True, window=window, stride=stride, gaussian=True
    )
    assert parse_protocol(text) == wanted
    assert parse_protocol("scales=1") is not None and parse_protocol("scales=1").text == "single"


@pytest.mark.parametrize(("side", "stride"), [(769, 513), (512, 341), (768, 512), (1024, 683)])
def test_strides_are_those_of_mmsegmentation(side: int, stride: int) -> None:
    assert parse_protocol(f"window={side}x{side}").stride == (stride, stride)


sides = st.integers(33, 4096)


@st.composite
def protocols(draw: st.DrawFn) -> Protocol:
    scales = draw(st.lists(st.floats(1e-3, 10), min_size=1, max_size=4, unique=True))
    options: dict[str, Any] = {"scales": tuple(scales), "flip": draw(st.booleans())}
    if draw(st.booleans()):
        window = draw(st.tuples(sides, sides))
        options["stride"] = tuple(draw(st.integers(1, side)) for side in window)
        options |= {"window": window, "gaussian": draw(st.booleans())}
    return Protocol(**options)


@given(protocols())
def test_its_text_is_read_as_itself(protocol: Protocol) -> None:
    assert parse_protocol(protocol.text) == protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_names_are_read(name: str) -> None:
    assert parse_protocol(name) is PROTOCOLS[name]
    assert PROTOCOLS[name].text == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mutli-scale", "did you mean 'multi-scale'"),
        ("scale=1", "did you mean 'scales'"),
        ("scales=half", "write it as scales=0.5,1,2"),
        ("window=512", "write it as window=512x1024"),
        ("flip=no", "write it as flip$"),
        ("scales=0,1", "scales .above 0"),
        ("scales=nan", "scales .above 0"),
        ("scales=1,1.0", "each once"),
        ("window=32x64", "two sides of at least 33"),
        ("window=64x64:stride=64x65", "stride is .64, 65., needed is .* within a window"),
        ("stride=64x64", "stride is .64, 64., needed is .* within a window"),
        ("gaussian", "only of windows"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        parse_protocol(text)
    assert "\n" not in str(raised.value)
