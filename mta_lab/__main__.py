"""`python -m mta_lab` is `mta-lab`."""

import os
import sys

if sys.path[:1] == [os.getcwd()] and not sys.flags.safe_path:
    del sys.path[0]  # before anything else is imported: see `mta_lab.children`

from mta_lab.cli import main

if __name__ == "__main__":
    main()
