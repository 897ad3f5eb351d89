"""The throughput of networks on a card, one process after the other while there is time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.comparison.gpu_tests import Say, Write
from experiments.speed.throughput import (
    Roofline,
    Row,
    Throughput,
    ThroughputFailure,
    ThroughputRequest,
    measure_card,
    measure_network,
    order,
)

_LOGS = Path("runs") / "gpu-logs"  # of each process
# A process needs so long to start and to measure anything; compiling takes a minute and more.
_LEAST, _MOST_EAGER, _MOST_COMPILED, _CARD = 15.0, 90.0, 110.0, 45.0


def run_throughput(
    networks: Sequence[str],
    cards: int,
    seconds: float,
    write: Write,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    requests: Sequence[ThroughputRequest] | None = None,
) -> bool:
    """Whether the card and every network that there was time for could be measured.

    A network that fails, as for want of memory, loses its row and no more; what is known is written
    after each process.

    Args:
        requests: instead of the usual ones for these networks.
    """
    asked = order(networks, cards) if requests is None else requests
    end = clock() + seconds
    roofline = measure_card(min(seconds, _CARD), _LOGS)
    if isinstance(roofline, str):
        write({"roofline": None, "rows": []}, f"the card could not be measured: {roofline}")
        say(f"the card could not be measured: {roofline}")
        return False
    say(f"matrix products {roofline.bf16_tflops:.3g} TFLOP/s, copies {roofline.copy_gb_s:.0f} GB/s")
    rows: list[Row] = []
    for number, request in enumerate(asked):
        left = end - clock()
        if left < _LEAST:
            write(_content(roofline, rows, asked[:number]), _cut(asked[number:]))
            say(_cut(asked[number:]))
            break
        most = _MOST_COMPILED if request.compiled else _MOST_EAGER
        found = measure_network(request, roofline, min(left, most), _LOGS)
        rows += found
        write(_content(roofline, rows, asked[: number + 1]))
        for row in found:
            say(_line(row))
    else:
        write(_content(roofline, rows, asked), None)
    return not any(isinstance(row, ThroughputFailure) for row in rows)


def _content(
    roofline: Roofline, rows: Sequence[Row], asked: Sequence[ThroughputRequest]
) -> dict[str, object]:
    settings = asdict(asked[0]) if asked else {}
    return {
        "roofline": asdict(roofline),
        "settings": {k: v for k, v in settings.items() if k not in ("model", "compiled", "ranks")},
        "rows": [row.to_json() for row in rows],
    }


def _cut(left: Sequence[ThroughputRequest]) -> str:
    names = [
        one.model + (", compiled" if one.compiled else ", all GPUs" if one.ranks > 1 else "")
        for one in left
    ]
    return f"no time was left for {'; '.join(names)}"


def _line(row: Row) -> str:
    if isinstance(row, Throughput):
        return (
            f"{row.model}, {row.way}, {row.task}: {row.images_per_second:.1f} images/s, "
            f"{row.peak_gb:.1f} GB, {100 * row.of_products:.0f} % of matrix products"
        )
    return f"{row.model}, {row.way}, {row.task}: {row.failed}"
