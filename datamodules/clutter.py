"""What systems and programs leave in folders, which is never data or a result."""

from pathlib import Path

_NAMES = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("__macosx", "icon\r", "@eadir", "#recycle", "#snapshot", "lost+found", "__pycache__"),
    }
)


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is to be passed over wherever folders are listed.

    All names that begin with a dot are, as `.DS_Store`, `.ipynb_checkpoints` and `._a.png`, in
    which macOS keeps what other file systems cannot hold of `a.png`.
    """
    return name.startswith(".") or name.lower() in _NAMES


def find(folder: Path, pattern: str) -> list[Path]:
    """The sorted paths of a pattern (`Path.glob`) of which no part below the folder is clutter."""
    paths = sorted(folder.glob(pattern))
    return [path for path in paths if not any(map(is_clutter, path.relative_to(folder).parts))]
