"""``python -m bnspec``."""

import sys

# Python has put the current folder first on the path, where a file of anybody may have the name of a module.
if not sys.flags.safe_path:
    del sys.path[0]

from bnspec.cli import main

sys.exit(main())
