"""What `crass-tf predict` does: radiographs in, one set of result files for each out."""

from crass_tf.prediction.run import plan, predict

__all__ = ["plan", "predict"]
