"""PYTHONPATH=examples python -m desktop; and what PyInstaller packages."""

import sys

from desktop.application import main

if __name__ == "__main__":
    sys.exit(main())
