"""Native libraries write to standard error past Python; here they are kept quiet."""

import contextlib
import os
import sys
import tempfile
import threading

# Two threads that redirect one file descriptor would each put back what the other had left there.
_LOCK = threading.RLock()


@contextlib.contextmanager
def quiet_native():
    """Drops what native code logs to standard error within the block; errors still raise."""
    with _LOCK, tempfile.TemporaryFile() as sink:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
