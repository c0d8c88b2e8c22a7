"""What mkdocs does beside rendering: the help of every command, and links to files outside the site."""

import contextlib
import io
import os
import re

COMMANDS = "<!-- commands -->"
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:examples|crass_tf|benchmarks|saved_models|tfds_builder)/[^)]*\)")


def on_page_markdown(markdown, page, config, files):
    """Returns a page's text with the commands' help in place, and without links that leave the site."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    # In the repository these links work; here the text alone stays.
    return OUTSIDE.sub(r"\1", markdown)


def commands():
    """Returns the help of each command of `crass-tf`, a section each."""
    names = re.findall(r"^    ([a-z]+)", help_text("--help").partition("COMMAND\n")[2].partition("options:")[0], re.M)
    return "\n\n".join(f"## crass-tf {name}\n\n```text\n{help_text(name, '--help')}```" for name in names)


def help_text(*arguments):
    """Returns what `crass-tf` prints."""
    from crass_tf.cli import main

    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main(list(arguments))
    return printed.getvalue()
