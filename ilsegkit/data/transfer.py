"""One file from the net: resumed where the server allows, tried again where that helps, from one mirror after another."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests import exceptions

from ..errors import DataError
from .manifest import File

__all__ = ["StoppedError", "fetch_file"]

CHUNK = 1 << 15  # as much may be lost of what had come when a connection is cut
TIMEOUT = (10, 60)  # seconds to connect, and between bytes
TRIES = 4
PAUSE = 0.5  # seconds before the second try; doubled before each further one
AGAIN = {408, 425, 429, 500, 502, 503, 504}

pooch.get_logger().setLevel("WARNING")

_session = requests.Session()  # keeps connections open: sets of many small files come from one server

#: Gets the number of bytes that have come; negative where some are thrown away.
Advance = Callable[[int], None]


class StoppedError(Exception):
    """The user, or the failure of another file, ended the download."""


class _UnavailableError(Exception):
    """This address does not give the file; the sentence says why."""


def fetch_file(file: File, target: Path, advance: Advance = lambda count: None, stop: threading.Event | None = None) -> None:
    """Fetch a file; it gets its name only when its hash is right.

    What has come stays in ``NAME.part`` when the connection is cut, and the next call goes on from there. Files without a known
    hash always start anew: a mixture of two versions would go unnoticed.

    Parameters
    ----------
    file : File
        With a url.
    target : Path
        The name it gets.
    advance : callable, optional
        Called with the number of bytes that have come.
    stop : threading.Event, optional
        Ends the download when it is set.

    Raises
    ------
    DataError
        If no mirror gives the right bytes; the sentence has the reason for each.
    StoppedError
        If `stop` was set.
    """
    reasons = []
    part = target.with_name(f"{target.name}.part")
    addresses = [url for url in (file.url, *file.mirrors) if url is not None]
    while addresses:
        url, resumed = addresses[0], part.is_file()
        downloader = _Resuming(part, file, advance, stop or threading.Event())
        try:
            pooch.retrieve(url, file.hash, target.name, target.parent, downloader=downloader)
            return
        except _UnavailableError as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
        except ValueError as error:  # pooch has thrown the file away
            got = re.search(r"but got (\w+)", str(error))
            found = f"{file.hash.partition(':')[0]}:{got[1]}" if file.hash and got else "another"
            reasons.append(f"{urlsplit(url).netloc}: another file, now deleted: expected {file.hash}, got {found}")
            advance(-downloader.size)
            if resumed:  # perhaps it was what an earlier try had left that was wrong: once more from the start
                reasons.pop()
                continue
        addresses.pop(0)
    raise DataError(f"{file.path!r} could not be fetched ({'; '.join(reasons) or 'it has no address'})")


class _Resuming:
    """A downloader for pooch: fills `part` over as many connections as it takes, then moves it to where pooch wants it."""

    def __init__(self, part: Path, file: File, advance: Advance, stop: threading.Event) -> None:
        self.part, self.file, self.advance, self.stop = part, file, advance, stop
        self.size = 0  # bytes in the part file

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        if self.file.hash is None:
            self.part.unlink(missing_ok=True)
        self.size = self.part.stat().st_size if self.part.is_file() else 0
        self.advance(self.size)
        try:
            self._fill(url)
        except BaseException:
            self.advance(-self.size)  # whoever goes on counts it again
            raise
        self.part.replace(output_file)

    def _fill(self, url: str) -> None:
        if self.file.bytes is not None and self.size >= self.file.bytes:
            if self.size == self.file.bytes:
                return
            self._forget()
        for attempt in range(TRIES):
            if attempt:
                self.stop.wait(PAUSE * 2 ** (attempt - 1))
            if self.stop.is_set():
                raise StoppedError
            try:
                self._stream(url)
                return
            except exceptions.RequestException as error:
                reason = _sentence(error)
                code = error.response.status_code if error.response is not None else None
                hopeless = isinstance(error, exceptions.SSLError) or (code is not None and code not in AGAIN)
                if hopeless or attempt == TRIES - 1:
                    raise _UnavailableError(reason) from error

    def _stream(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}  # the bytes as they are, so that their number means something
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
        with _session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if self.size and (response.status_code == 416 or not self._goes_on(response)):
                self._forget()
                if response.status_code == 416:  # more is here than there: start again
                    raise exceptions.ConnectionError("the server has fewer bytes", response=None)
            response.raise_for_status()
            if response.headers.get("Content-Type", "").startswith("text/html") and not self.file.path.endswith(".html"):
                raise _UnavailableError("it sends a web page instead of the file")
            with self.part.open("ab") as file:
                for chunk in response.iter_content(CHUNK):
                    if self.stop.is_set():
                        raise StoppedError
                    file.write(chunk)
                    self.size += len(chunk)
                    self.advance(len(chunk))
        if self.file.bytes is not None and self.size != self.file.bytes:
            size = self.size
            self._forget()
            raise _UnavailableError(f"a file of {size} bytes instead of {self.file.bytes}")

    def _goes_on(self, response: requests.Response) -> bool:
        """Whether these are the bytes that follow those that are here; a server may also send everything again, or an error."""
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        return response.status_code >= 400 or (response.status_code == 206 and start is not None and int(start[1]) == self.size)

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.advance(-self.size)
        self.size = 0


def _sentence(error: exceptions.RequestException) -> str:
    """Why an address did not give its file."""
    if error.response is not None:
        code = error.response.status_code
        reasons = {404: "the file is no longer there (404)", 410: "the file is no longer there (410)"}
        reasons |= {401: "it wants a login (401)", 403: "it refuses access (403)", 429: "too many requests, try later (429)"}
        return reasons.get(code, f"the server answers {code} {error.response.reason}")
    if isinstance(error, exceptions.SSLError):
        return "its certificate has expired" if "expired" in str(error) else "its certificate cannot be trusted"
    if isinstance(error, exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return "the connection was cut"
    return "no connection"
