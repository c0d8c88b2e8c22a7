"""Runs `model.onnx`, which `crass-tf export --onnx` wrote, in onnxruntime.

    pip install numpy onnxruntime
    python onnx_runtime.py model.onnx images.npy results.npz

`images.npy` holds letterboxed radiographs, float32 [N, 1024, 1024, 1], grey values from 0 to 255.
"""

import sys

import numpy as np
import onnxruntime

model, images, results = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
logits, score = session.run(["logits", "score"], {"image": np.load(images)})
np.savez(results, logits=logits, score=score)
