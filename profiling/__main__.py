import sys

from profiling.commands import main

sys.exit(main())
