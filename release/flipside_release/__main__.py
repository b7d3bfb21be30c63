"""``python -m flipside_release``: the same as ``flipside``."""

import sys

from flipside_release.cli import main

sys.exit(main())
