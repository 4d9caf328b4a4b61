"""`python -m seqmodels` is the same as the `seqmodels` command."""

import sys

from seqmodels.commands.main import main

sys.exit(main())
