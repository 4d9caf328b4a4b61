"""The same as `seqmodels benchmark`, for those who start scripts."""

import sys

from seqmodels.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
