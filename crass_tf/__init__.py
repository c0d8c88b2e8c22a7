"""Clavicle segmentation in chest radiographs: data set, model, training and deployment. Not a medical device.

Importing the package loads neither TensorFlow nor Keras nor TensorFlow Datasets.
"""

__version__ = "0.1.0"


def __getattr__(name):
    """Imports `Segmenter` when it is first asked for, so that `import crass_tf` stays light."""
    if name == "Segmenter":
        from crass_tf.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f"module 'crass_tf' has no attribute {name!r}")
