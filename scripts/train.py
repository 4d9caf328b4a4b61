"""The same as `seqmodels train`, for those who start scripts."""

import sys

from seqmodels.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
