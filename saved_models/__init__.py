"""The shipped pretrained models, one folder each with its model card; installed as `crass_tf.saved_models`."""
