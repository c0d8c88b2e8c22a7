"""Shows the examples in docstrings as code: the site's parser takes them for quotations."""

import re

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)


class DocstringExamples(griffe.Extension):
    """Puts fences around what begins with `>>>`, up to the next empty line."""

    def on_object(self, *, obj, **_):
        """Changes an object's docstring."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
