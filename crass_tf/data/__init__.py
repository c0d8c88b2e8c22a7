"""Data sets as examples, arrays and `tf.data`."""
