import sys

from runtime_math.command_line import main

if __name__ == "__main__":
    sys.exit(main())
