"""Pages and plots from the Jinja2 templates in `templates/`, which share one base page and one style sheet."""

from __future__ import annotations

import functools
import pathlib

from crass_tf.common.files import write_text
from crass_tf.common.notice import NOTICE
from crass_tf.common.types import PathLike
from crass_tf.reporting.overlay import LEFT_COLOUR, RIGHT_COLOUR, TRUTH_COLOUR

TEMPLATES = pathlib.Path(__file__).with_name("templates")
# OpenCV's colours are blue, green, red; the web's are red, green, blue.
COLOURS = {"truth": TRUTH_COLOUR[::-1], "right": RIGHT_COLOUR[::-1], "left": LEFT_COLOUR[::-1]}
NOTHING = "–"


def write_page(path: PathLike, template: str, **values: object) -> None:
    """Writes the page that `render` returns, whole or not at all."""
    write_text(path, render(template, **values))


def render(template: str, **values: object) -> str:
    """Returns a filled-in page or a part of one, which other templates include without escaping it.

    In a template of Markdown nothing is escaped. A missing value is a jinja2.UndefinedError.
    """
    import markupsafe

    return markupsafe.Markup(_environment().get_template(template).render(values))


@functools.cache
def _environment():
    # Late: a device that only predicts has no Jinja2.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: not str(name).endswith(".md"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"colours": COLOURS, "notice": NOTICE, "nothing": NOTHING}
    return environment
