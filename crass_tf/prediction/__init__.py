"""What `crass-tf predict` does: radiographs in, one set of result files for each out."""

from crass_tf.prediction.planning import plan
from crass_tf.prediction.run import predict

__all__ = ["plan", "predict"]
