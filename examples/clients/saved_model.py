"""Runs a SavedModel, which `crass-tf export` wrote, in TensorFlow.

    pip install tensorflow
    python saved_model.py saved_model images.npy results.npz

`images.npy` holds letterboxed radiographs, float32 [N, 1024, 1024, 1], grey values from 0 to 255. Without any program:

    saved_model_cli run --dir saved_model --tag_set serve --signature_def serving_default \
        --inputs image=images.npy --outdir results
"""

import sys

import numpy as np
import tensorflow as tf

folder, images, results = sys.argv[1:]
model = tf.saved_model.load(folder)
outputs = model.signatures["serving_default"](image=tf.constant(np.load(images)))
np.savez(results, logits=outputs["logits"], score=outputs["score"])
