"""What GPUs have shown, on the page of speed."""

from pathlib import Path

from experiments.reporting.tables import renew
from experiments.speed.gpu_tables import gpu_summary, kept
from experiments.trials.atomic_io import write_text


def renew_gpu_page(page: Path, results: Path) -> str:
    """Have a page show the kept results between its marks; a sentence on that.

    Raises:
        ValueError: a page without marks, or a damaged result.
    """
    if not page.is_file():
        return f"there is no {page}: run this in a checkout"
    text = page.read_text(encoding="utf-8")
    renewed = renew(text, "gpu", gpu_summary(kept(results)))
    if renewed == text:
        return f"{page} shows what is in {results} already"
    write_text(page, renewed)
    return f"{page} shows what is in {results} now"
