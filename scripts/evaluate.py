"""The same as `seqmodels evaluate`, for those who start scripts."""

import sys

from seqmodels.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
