"""The log: one line for each record, whatever is in it, and not more of them than a disk bears."""

import logging
import time

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LONGEST = 4000
"""Characters of a line; a longer one is cut."""
A_SECOND = 200
"""Lines below ERROR; the next line tells how many were left out."""
UNSEEN = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
UNSEEN |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
"""Characters that count as printable and that nobody sees."""


def harmless(text: str) -> str:
    """The text on one line, with every character escaped that a terminal obeys or nobody sees."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    return "".join(
        char
        if char.isprintable() and ord(char) not in UNSEEN
        else char.encode("unicode_escape").decode()
        for char in text
    )


class OneLine(logging.Formatter):
    """Escapes the whole record, with its exception: anything in it may come from outside."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


class Rate(logging.Filter):
    """Leaves out what comes too fast: anybody can be refused as often as they like."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._lines, self._left_out = 0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > A_SECOND and record.levelno < logging.ERROR:
            self._left_out += 1
            return False
        if self._left_out:
            record.msg = f"{record.getMessage()} ({self._left_out} lines before this were left out)"
            record.args, self._left_out = None, 0
        return True


def set_up() -> None:
    """Sends everything that any library says to standard error, through this one way."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(FORMAT))
    handler.addFilter(Rate())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.handlers:
            # FastMCP's client brings a handler of its own, which prints what it is given.
            logger.handlers.clear()
            logger.propagate = True
    # At INFO it logs every request of every message.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
