"""The page that outlines clavicles in the browser, served on this computer: `crass-tf view`."""

from crass_tf.commands.view.serving import DEFAULT_PORT, view

__all__ = ["DEFAULT_PORT", "view"]
