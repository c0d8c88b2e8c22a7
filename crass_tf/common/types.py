"""Types that many signatures share."""

import os

PathLike = str | os.PathLike[str]
Spacing = tuple[float, float]  # millimetres between (rows, columns)
