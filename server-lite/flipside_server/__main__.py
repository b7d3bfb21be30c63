"""``python -m flipside_server``: the same as ``flipside-server``."""

import sys

from flipside_server.cli import main

sys.exit(main())
