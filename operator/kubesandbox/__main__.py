"""`python -m kubesandbox`."""

import sys

from kubesandbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
