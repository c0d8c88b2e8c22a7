"""Synthetic posterior-anterior chest radiographs with exact clavicle masks."""

from crass_tf.phantom.folder import DEFAULT_COUNT, DEFAULT_SIZE, write_folder
from crass_tf.phantom.rendering import Phantom, render

__all__ = ["DEFAULT_COUNT", "DEFAULT_SIZE", "Phantom", "render", "write_folder"]
