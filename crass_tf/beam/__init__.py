"""Radiographs by the million: the work of `crass-tf predict` as Apache Beam transforms, and on Spark."""
