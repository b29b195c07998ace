"""The releases of a package, in their order, as the configured indexes list them.

Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import datetime
import html.parser
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.index import Index, configured

SECONDS, BYTES = 60.0, 1 << 26
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True)
class Release:
    """A release.

    Attributes: version; uploaded: when its first file was, None where the index does not say; yanked: whether all its files are;
        pythons: what its files ask of Python, each "" or a specifier.
    """

    version: Version
    uploaded: datetime.datetime | None
    yanked: bool
    pythons: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    name: str
    uploaded: datetime.datetime | None
    yanked: bool
    python: str


def releases_of(package: str) -> tuple[Release, ...]:
    """All releases of a package, the earliest version first. Raises NotBuilt: no index can be read, or none has the package."""
    return _releases(canonicalize_name(package), configured())


def uploaded(package: str, version: Version) -> datetime.datetime | None:
    """When a release appeared; None where nobody says."""
    try:
        found = releases_of(package)
    except NotBuilt:
        return None
    return next((r.uploaded for r in found if r.version == version), None)


@cache
def _releases(package: str, index: Index) -> tuple[Release, ...]:
    files: dict[Version, list[_File]] = {}
    problems = []
    for read in (*_pages(package, index), *_links(index)):
        if isinstance(read, str):
            problems.append(read)
            continue
        for file in read:
            version = _version(file.name, package)
            if version is not None:
                files.setdefault(version, []).append(file)
    if not files:
        asked = (
            "none of those asked lists it"
            if index.urls or index.links
            else "none is configured, PIP_INDEX_URL names one"
        )
        raise NotBuilt(f"no index has {package}: {'; '.join(problems) or asked}")
    return tuple(_release(version, files[version]) for version in sorted(files))


def _release(version: Version, files: Sequence[_File]) -> Release:
    times = [f.uploaded for f in files if f.uploaded is not None]
    pythons = tuple(sorted({f.python for f in files if not f.yanked}))
    return Release(version, min(times, default=None), all(f.yanked for f in files), pythons)


def _version(file: str, package: str) -> Version | None:
    """The version that a file is of; None where it is of another package, or of none."""
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
        else:
            name, version = parse_sdist_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    return version if name == package else None


def _pages(package: str, index: Index) -> Iterator[list[_File] | str]:
    """The files that each index lists, or why it cannot be read."""
    for url in index.urls:
        place = f"{url.rstrip('/')}/{package}/"
        try:
            yield _listed(place)
        except (OSError, ValueError) as error:
            yield f"{urllib.parse.urlsplit(url).hostname or url}: {getattr(error, 'reason', error)}"


def _links(index: Index) -> Iterator[list[_File]]:
    """The files in folders beside the indexes."""
    for link in index.links:
        folder = Path(urllib.parse.urlsplit(link).path if link.startswith("file:") else link)
        if folder.is_dir():
            yield [_File(file.name, None, False, "") for file in folder.iterdir()]


def _listed(place: str) -> list[_File]:
    """The files on a page of an index; none where it has no such package."""
    if place.startswith("file:"):
        file = Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path)) / "index.html"
        return _from_html(file.read_text("utf-8")) if file.is_file() else []
    request = urllib.request.Request(place, headers={"Accept": ACCEPT})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=ssl.create_default_context()) as answer:
            kind, body = answer.headers.get_content_type(), answer.read(BYTES + 1)
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return []
        raise
    if len(body) > BYTES:
        raise ValueError(f"its page has more than {BYTES >> 20} MiB")
    text = body.decode("utf-8")
    return files_of_json(json.loads(text)) if kind.endswith("+json") else _from_html(text)


def files_of_json(page: Any) -> list[_File]:
    """The files of a page of an index; whatever is none is left out."""
    found = []
    for file in page["files"] if isinstance(page, dict) and isinstance(page.get("files"), list) else []:
        if isinstance(file, dict) and isinstance(file.get("filename"), str):
            yanked, python = bool(file.get("yanked", False)), _specifier(file.get("requires-python"))
            found.append(_File(file["filename"], _time(file.get("upload-time")), yanked, python))
    return found


class _Anchors(html.parser.HTMLParser):
    """The files of a page of links."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[_File] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link is a file."""
        said = dict(attrs)
        name = urllib.parse.unquote(urllib.parse.urlsplit(said.get("href") or "").path.rpartition("/")[2])
        if tag == "a" and name:
            self.files.append(_File(name, None, "data-yanked" in said, _specifier(said.get("data-requires-python"))))


def _from_html(text: str) -> list[_File]:
    parser = _Anchors()
    parser.feed(text)
    return parser.files


def _specifier(said: object) -> str:
    """What a file asks of Python; "" where it asks nothing that can be read."""
    try:
        return str(SpecifierSet(said)) if isinstance(said, str) else ""
    except InvalidSpecifier:
        return ""


def _time(said: object) -> datetime.datetime | None:
    try:
        read = datetime.datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return read if read is None or read.tzinfo else read.replace(tzinfo=datetime.UTC)
