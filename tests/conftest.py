"""Settings of the whole test suite."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tiny tensors, and tests may run in parallel
