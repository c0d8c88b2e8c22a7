"""A file in, a `Radiograph` out: readers by format, pixel spacing, the one rule for grey values."""
