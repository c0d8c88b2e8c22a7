"""`python -m crass_tf` is `crass-tf`."""

import sys

from crass_tf.cli import main

sys.exit(main())
