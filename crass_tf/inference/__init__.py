"""A radiograph in, a `Segmentation` out, from a model in any form."""
