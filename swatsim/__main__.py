"""`python -m swatsim`: the command line."""

from swatsim.cli import main

main()
