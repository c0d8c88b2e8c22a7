"""What native code writes to standard error is dropped, what is meant to be seen is not."""

import subprocess
import sys

SCRIPT = """
import os, sys, threading
from crass_tf.native import quiet_native

def native(text):
    os.write(2, text.encode())

native("before ")
barrier = threading.Barrier(2, timeout=10)

def first():
    with quiet_native():
        barrier.wait()  # Both are in their blocks at once.
        native("dropped ")
        barrier.wait()
    barrier.wait()

def second():
    with quiet_native() as voice:
        barrier.wait()
        native("dropped ")
        print("dropped", file=sys.stderr)
        print("said", end=" ", file=voice)
        barrier.wait()
        barrier.wait()  # The first one has left.
        native("dropped ")

threads = [threading.Thread(target=each) for each in (first, second)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with quiet_native(), quiet_native() as voice:
    print("nested", end=" ", file=voice)
try:
    with quiet_native():
        raise ValueError
except ValueError:
    native("after ")
print("all", file=sys.stderr)
"""


def test_blocks_of_several_threads():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stderr == "before said nested after all\n"
    assert done.returncode == 0
