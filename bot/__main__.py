"""``python -m bot`` is ``gpuscout``."""

from bot.cli import main

main()
