"""Networks onto the Hub and back: huggingface_hub's real client against a server on loopback."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from huggingface_hub import ModelCard, constants
from loopback import HubServer, send

from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import from_pretrained, load
from c3dhub.networks import VideoNetwork
from c3dhub.networks.resnet import ResNet


@dataclass
class PushServer(HubServer):
    """A Hub that also takes commits of small files."""

    created: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if not path.startswith("/api/"):
            return super().answer(handler)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization')}/{asked['name']}"
            self.created.append(repo)
            return self._json(handler, {"url": f"{self.url}/{repo}", "name": repo})
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False,
                      "oid": None} for f in files]  # fmt: skip
            return self._json(handler, {"files": modes})
        if "/commit/" in path:
            repo, branch = path.removeprefix("/api/models/").split("/commit/")
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = self.add(repo, files, branch=branch)
            return self._json(handler, {
                "success": True, "commitOid": commit, "hookOutput": "",
                "commitUrl": f"{self.url}/{repo}/commit/{commit}",
            })  # fmt: skip
        return self._json(handler, {"siblings": [], "id": "o/r", "sha": "0" * 40})

    def _json(self, handler: BaseHTTPRequestHandler, value: object) -> None:
        send(handler, 200, json.dumps(value).encode(), content_type="application/json")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PushServer]:
    with PushServer() as server:
        assert isinstance(server, PushServer)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield server


def test_a_pushed_network_is_loaded_from_the_hub(tiny: VideoNetwork, hub: PushServer) -> None:
    url = tiny.push_to_hub("lab/tiny", token="hf_test")
    assert hub.created == ["lab/tiny"]
    (commit,) = hub.repos["lab/tiny"]
    assert url.endswith(commit)
    assert set(hub.repos["lab/tiny"][commit]) == {"README.md", "config.json", "model.safetensors"}
    for again in (load("hf://lab/tiny", device="cpu"), from_pretrained("lab/tiny", device="cpu")):
        for key, value in tiny.state_dict().items():
            assert torch.equal(again.state_dict()[key], value)
    asked = hub.count()
    pinned = ResNet.from_pretrained("lab/tiny", revision=commit, device="cpu")
    assert pinned.config == tiny.config
    assert hub.count() == asked


def test_the_card_tells_how_to_load_it(tiny: VideoNetwork, hub: PushServer) -> None:
    tiny.push_to_hub("lab/tiny", token="hf_test", revision="v2", commit_message="second")
    (files,) = hub.repos["lab/tiny"].values()
    card = ModelCard(files["README.md"].decode())
    assert "library_name: c3dhub" in str(card.data)
    assert 'c3dhub.load("hf://lab/tiny")' in card.text
    assert hub.refs["lab/tiny", "v2"]


def test_a_network_that_cannot_be_saved_creates_no_repository(
    tiny: VideoNetwork, hub: PushServer
) -> None:

    form: Any = tiny.prepared(ComputeOptions())
    with pytest.raises(ValueError, match="cannot be saved"):
        form.push_to_hub("lab/tiny", token="hf_test")
    assert hub.created == []
