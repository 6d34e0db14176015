"""Writes the decompressed bytes of a file to standard output, as Python's gzip module reads it.

lines.py FILE
"""

import gzip
import shutil
import sys

with gzip.open(sys.argv[1], "rb") as lines:
    shutil.copyfileobj(lines, sys.stdout.buffer)
