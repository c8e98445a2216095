"""Fetch a public file from Google Drive by its id."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from ..registry.entries import SOURCE_KINDS
from .download import DownloadError, WebPageError, download

BASE_URL = "https://drive.usercontent.google.com"


def download_from_drive(
    file_id: str, target: Path, *, label: str | None = None, progress: bool | None = None
) -> str:
    """Fetch the file with this id into ``target`` and return its sha256, as `download` does.

    Large files come behind a page that says that they were not scanned for viruses; its form is
    sent once.

    Raises
    ------
    DownloadError
        As `download`, and where Drive's quota for the file is used up or it asks for a sign-in.
    OSError
        If the folder cannot be written or the disk is full.
    """
    query = urlencode({"id": file_id, "export": "download", "confirm": "t"})
    try:
        return download(f"{BASE_URL}/download?{query}", target, label=label, progress=progress)
    except WebPageError as error:
        address = _confirmed_address(error, file_id)
        try:
            return download(address, target, label=label, progress=progress)
        except WebPageError as again:
            raise _refusal(again, file_id) from again


def _confirmed_address(error: WebPageError, file_id: str) -> str:
    forms = _Forms()
    forms.feed(error.page)
    for form in forms.found:
        address = urljoin(error.url, form.action)
        # The quota and sign-in pages have forms too; only the warning's asks for this file, and
        # only Drive itself is sent to.
        if form.fields.get("id") == file_id and urlsplit(address).netloc == _netloc(error.url):
            return f"{address.partition('?')[0]}?{urlencode(form.fields)}"
    raise _refusal(error, file_id) from error


def _netloc(url: str) -> str:
    return urlsplit(url).netloc


def _refusal(error: WebPageError, file_id: str) -> DownloadError:
    page = error.page.lower()
    host = urlsplit(error.url).hostname or ""
    if "quota" in page or "too many users" in page:
        reason = "too many people have fetched this file lately (its quota is used up); try again "
        reason += "tomorrow, or sign in and fetch it with a browser"
    elif host.startswith("accounts.") or "servicelogin" in page or "sign in" in page:
        reason = "Google Drive asks for a sign-in: the file is no longer public"
    else:
        reason = "Google Drive sends a page instead of the file"
    _, page_url = SOURCE_KINDS["gdrive"]
    return DownloadError(f"{page_url.format(file_id)}: {reason}")


@dataclass
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    """Collects each form's action and its hidden inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(_Form(values.get("action", "")))
        elif tag == "input" and self.found and values.get("type", "").lower() == "hidden":
            self.found[-1].fields[values.get("name", "")] = values.get("value", "")
