"""Synthetic posterior-anterior chest radiographs with exact clavicle masks."""

from crass_tf.phantom.folder import DEFAULT_COUNT, DEFAULT_SIZE, check_arguments, write_folder
from crass_tf.phantom.rendering import Phantom, render

__all__ = ["DEFAULT_COUNT", "DEFAULT_SIZE", "Phantom", "check_arguments", "render", "write_folder"]
