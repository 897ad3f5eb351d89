"""Whether a network may be asked for: `name:option=value`, as every command takes it."""

from models import parse_model


def check_network(text: str) -> None:
    """Refuse what no network can be built from, before anything is; options that contradict each
    other are refused by the network itself.

    Raises:
        ValueError: an unknown name or option, a value of another type, or a number below 1: all
            whole numbers among the options count channels, streams or pixels.
    """
    name, options = parse_model(text)
    for option, value in options.items():
        if type(value) is int and value < 1:
            raise ValueError(f"{name}:{option} is at least 1, got {value}")
