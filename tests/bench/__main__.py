"""`make bench`: every figure, one bench after the other, so that none takes another's processor.

`python -m tests.bench webhook operator` runs only these; each alone takes options: `python -m tests.bench.webhook -h`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

BENCHES = ("signature", "kubesandbox", "log", "webhook", "operator", "crashes")


def main() -> int:
    """Runs them in turn; the number of those that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("bench", nargs="*", metavar="BENCH", help="which (default: all)")
    chosen = parser.parse_args().bench or BENCHES
    for name in set(chosen) - set(BENCHES):
        parser.error(f"there is no bench {name!r}: choose from {', '.join(BENCHES)}")
    failed = 0
    for name in chosen:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        ended = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
        print(f"   ({name}: {time.monotonic() - began:.0f} s{f', FAILED with {ended}' if ended else ''})", flush=True)
        failed += ended != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
