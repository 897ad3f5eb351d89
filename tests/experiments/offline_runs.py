"""What the files of an offline run of Weights & Biases hold."""

import json
import struct
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2 as records


class Written:
    """What an offline run's file holds.

    Attributes:
        start: the run record: run_id, run_group, job_type, display_name.
        history: values in the order of logging, by key.
        exit_code: None for a run that did not end.
    """

    def __init__(self, folder: Path) -> None:
        wandb.teardown()  # files of this process may not be whole before
        self.folder, self.exit_code = folder, None
        self.config: dict[str, Any] = {}
        self.history: dict[str, list[Any]] = {}
        self.summary: dict[str, Any] = {}
        (file,) = folder.glob("*.wandb")
        for record in _read(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.start = record.run
                self.config = {i.key: json.loads(i.value_json) for i in record.run.config.update}
            elif kind == "exit":
                self.exit_code = record.exit.exit_code
            for item in getattr(record, kind).item if kind == "history" else ():
                self.history.setdefault(_key(item), []).append(json.loads(item.value_json))
            for item in record.summary.update if kind == "summary" else ():
                self.summary[_key(item)] = json.loads(item.value_json)

    def files(self, kind: str) -> list[Path]:
        return sorted((self.folder / "files").rglob(kind))


def _key(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def _read(path: Path) -> list[Any]:
    """Records of an offline run's file: LevelDB's log format, a 7-byte header before all blocks."""
    data, position, found, part = path.read_bytes(), 7, [], b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:  # a block's end too short for a header is padding
            position += left
            continue
        _, size, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = records.Record()  # type: ignore[attr-defined]
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found
