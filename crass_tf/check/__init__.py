"""What is in a data set's folder, and what a curator would object to, before anything is built from it."""

from crass_tf.check.flags import REMARK, SPOILS, STOPS, Flag

__all__ = ["REMARK", "SPOILS", "STOPS", "Flag"]
