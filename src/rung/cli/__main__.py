"""`python -m rung.cli` is `rung`."""

from rung.cli import main

main()
