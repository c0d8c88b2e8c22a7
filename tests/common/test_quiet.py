"""What native code writes to standard error is dropped, what is meant to be seen is not."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys, threading
from crass_tf.common.parallel import quiet_native

def native(text):
    os.write(2, text.encode())

native("before ")
barrier = threading.Barrier(2, timeout=60)

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


CLOSED = """
import os, sys
from crass_tf.common.parallel import quiet_native
for _ in range(2):
    with quiet_native() as voice:
        os.write(2, b"dropped")
        print("dropped", file=voice)
path = sys.argv[1]
# The number 2 is not given to a file, into which native code would write.
with open(path, "w") as file, quiet_native():
    os.write(2, b"dropped")
    file.write("whole")
print(open(path).read())
"""


CLOSED_LATER = """
import os, sys
os.close(2)
from crass_tf.common.parallel import quiet_native
with quiet_native() as voice:
    voice.flush()
sys.stderr = None
os.close(2)
with open(sys.argv[1], "wb", 0) as file, quiet_native():
    assert file.fileno() == 2
    file.write(b"whole")
print(open(sys.argv[1]).read())
"""


@pytest.mark.parametrize("script, redirection", [(CLOSED, "2>&-"), (CLOSED_LATER, "")], ids=["closed", "closed later"])
def test_standard_error_may_be_closed_and_a_file_in_its_place_is_left_alone(tmp_path, script, redirection):
    command = ["sh", "-c", f'"$0" -c "$1" "$2" {redirection}', sys.executable, script, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "whole\n")
