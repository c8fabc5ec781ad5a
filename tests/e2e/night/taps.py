"""An output of a process that somebody reads, or for a while nobody."""

import os
from pathlib import Path
from threading import Event, Thread


class Tap:
    """A pipe whose content goes into a file, as long as somebody reads it.

    `writer` is for the process, and is to be closed here once that has started.
    """

    def __init__(self, file: Path):
        self._reader, self.writer = os.pipe()
        self._file = file
        self._is_closed = False
        self._flows = Event()
        self._flows.set()
        Thread(target=self._copy, daemon=True).start()

    def _copy(self):
        with open(self._reader, "rb", buffering=0) as reader, self._file.open("ab") as file:
            while (piece := reader.read(65536)) and not self._is_closed:
                file.write(piece)
                file.flush()
                self._flows.wait()

    def hold(self):
        """From the next piece on nobody reads, and the pipe fills up."""
        self._flows.clear()

    def let_go(self):
        """What waits is read, and all that comes."""
        self._flows.set()

    def close(self):
        """Whoever reads goes away, with the next piece."""
        self._is_closed = True
        self._flows.set()
