"""`python -m millicent` is `millicent`."""

from millicent.config.cli import main

if __name__ == "__main__":
    main()
