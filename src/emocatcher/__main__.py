"""`python -m emocatcher`."""

from emocatcher.cli import main

if __name__ == "__main__":
    main()
