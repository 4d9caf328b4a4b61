"""The same as `seqmodels generate`, for those who start scripts."""

import sys

from seqmodels.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
