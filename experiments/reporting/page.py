"""Pages from the templates in `templates/`."""

from pathlib import Path

from experiments.trials.atomic_io import write_text
from experiments.trials.command_line import visible


def write_page(path: Path, template: str, **values: object) -> None:
    """Write a whole page or leave the file as it was."""
    write_text(path, render(template, **values))


def render(template: str, **values: object) -> str:
    """A whole page; every value is escaped and seen, and one that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return visible(environment.get_template(template).render(**values))
