"""``gpuscout``, also as ``python -m bot``."""

from bot.early import EARLY


def main() -> None:
    """Entry point of the program."""
    EARLY.hold()
    from bot.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
