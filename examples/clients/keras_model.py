"""Runs a `.keras` file in Keras, on TensorFlow or on JAX.

    pip install keras jax
    KERAS_BACKEND=jax python keras_model.py model_float16.keras images.npy results.npz

`images.npy` holds letterboxed radiographs, float32 [N, 1024, 1024, 1], grey values from 0 to 255.
"""

import sys

import keras
import numpy as np

model, images, results = sys.argv[1:]
outputs = keras.saving.load_model(model).predict(np.load(images), batch_size=1)
np.savez(results, logits=outputs["logits"], score=outputs["score"])
