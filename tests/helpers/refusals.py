"""What a user's mistake leads to: one line."""

import pytest

from crass_tf.common.files import InputError


def refuses(match, function, *arguments, **options):
    """Asserts that a function refuses its arguments in one line that matches, None for any; returns the line."""
    with pytest.raises(InputError, match=match) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
