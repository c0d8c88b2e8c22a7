"""Data sets as their authors publish them: which files there are, what is wrong with them, how one example is read."""

from crass_tf.sources.crass12 import open_crass12
from crass_tf.sources.jsrt import open_jsrt
from crass_tf.sources.source import Example, Finding, Source

__all__ = ["Example", "Finding", "Source", "open_crass12", "open_jsrt"]
