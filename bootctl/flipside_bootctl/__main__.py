"""``python -m flipside_bootctl``: the same as ``flipside-bootctl``."""

import sys

from flipside_bootctl.cli import main

sys.exit(main())
