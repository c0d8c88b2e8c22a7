"""Runs the model through LiteRT's C functions, those of the library in the ai-edge-litert wheel, as a C program would.

    python c_library.py model_int8.tflite images.npy results.npz

`images.npy` holds letterboxed radiographs, float32 [N, 1024, 1024, 1], grey values from 0 to 255.
"""

import ctypes
import importlib.resources
import sys

import numpy as np

CPU, READ, WRITE = 1, 0, 1


class TensorType(ctypes.Structure):
    """LiteRtRankedTensorType: type of the elements, then the rank in 7 bits, dimensions and strides."""

    _fields_ = [
        ("element", ctypes.c_int),
        ("rank", ctypes.c_uint),
        ("sizes", 8 * ctypes.c_int),
        ("rest", 8 * ctypes.c_uint),
    ]


def main(model_path, images_path, results_path):
    """Writes `logits` and `score` of all images."""
    litert = Library()
    environment = litert.create("LiteRtCreateEnvironment", 0, None)
    options = litert.create("LiteRtCreateOptions")
    litert.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    model = litert.create("LiteRtCreateModelFromFile", environment, model_path.encode())
    compiled = litert.create("LiteRtCreateCompiledModel", environment, model, options)
    signature = litert.create("LiteRtGetModelSignature", model, 0)
    (image,) = litert.buffers(environment, signature, compiled, "Input").values()
    outputs = litert.buffers(environment, signature, compiled, "Output")

    results = {"logits": [], "score": []}
    for values in np.load(images_path):
        litert.put(image, values)
        handles = (ctypes.c_void_p * len(outputs))(*(buffer for buffer, _ in outputs.values()))
        litert.call("LiteRtRunCompiledModel", compiled, 0, 1, ctypes.byref(image[0]), len(outputs), handles)
        for name, rows in results.items():
            rows.append(litert.get(outputs[name]))
    np.savez(results_path, **{name: np.concatenate(rows) for name, rows in results.items()})


class Library:
    """The shared library; every function returns 0 where it succeeds."""

    def __init__(self):
        self.functions = ctypes.CDLL(str(importlib.resources.files("ai_edge_litert") / "libLiteRt.so"))

    def call(self, name, *arguments):
        """Calls a function; RuntimeError where it fails."""
        passed = [ctypes.c_size_t(value) if isinstance(value, int) else value for value in arguments]
        if status := self.functions[name](*passed):
            raise RuntimeError(f"{name}: LiteRT says {status}")

    def create(self, name, *arguments, kind=ctypes.c_void_p):
        """Returns what a function gives through its last argument."""
        found = kind()
        self.call(name, *arguments, ctypes.byref(found))
        return found

    def buffers(self, environment, signature, compiled, role):
        """Returns the buffers of the model's inputs or outputs, `{name: (buffer, shape)}`."""
        found = {}
        for place in range(self.create(f"LiteRtGetNumSignature{role}s", signature, kind=ctypes.c_size_t).value):
            name = self.create(f"LiteRtGetSignature{role}Name", signature, place, kind=ctypes.c_char_p).value.decode()
            tensor = self.create(f"LiteRtGetSignature{role}TensorByIndex", signature, place)
            tensor_type = self.create("LiteRtGetRankedTensorType", tensor, kind=TensorType)
            needs = self.create(f"LiteRtGetCompiledModel{role}BufferRequirements", compiled, 0, place)
            create = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffer = self.create(create, environment, ctypes.byref(tensor_type), needs)
            found[name] = buffer, tuple(tensor_type.sizes[: tensor_type.rank & 127])
        return found

    def put(self, place, values):
        """Copies an array into a buffer."""
        buffer, _ = place
        ctypes.memmove(self.lock(buffer, WRITE), values.ctypes.data, values.nbytes)
        self.call("LiteRtUnlockTensorBuffer", buffer)

    def get(self, place):
        """Returns a buffer's content, a float32 array."""
        buffer, shape = place
        start = ctypes.cast(self.lock(buffer, READ), ctypes.POINTER(ctypes.c_float))
        values = np.ctypeslib.as_array(start, shape).copy()
        self.call("LiteRtUnlockTensorBuffer", buffer)
        return values

    def lock(self, buffer, mode):
        """Returns the address of a buffer's content."""
        address = ctypes.c_void_p()
        self.call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), mode)
        return address


if __name__ == "__main__":
    main(*sys.argv[1:])
