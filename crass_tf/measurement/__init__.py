"""Figures of masks: overlap and contour distances, outlines, centre lines, the midline, quality."""
