"""Networks on OpenVINO: the same numbers, several clips at once, quantised where asked."""

from __future__ import annotations

import importlib.util
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_video import write_video

from c3dhub.extract import extract_features
from c3dhub.extraction.engines import CompiledNetwork, precision
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model, load
from c3dhub.networks import VideoNetwork

pytest.importorskip("openvino")

needs_bf16 = pytest.mark.skipif(
    "BF16" not in precision.openvino_capabilities(), reason="this CPU has no bfloat16"
)
CLIPS = torch.rand(5, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0)) * 4 - 2
WIDTHS = {"resnet10": 8, "preresnet10": 8, "r2p1d10": 8, "resnext50": 16, "mc3_18": 8}


def make(name: str) -> VideoNetwork:
    torch.manual_seed(0)
    network = create_model(name, num_classes=5, width=WIDTHS.get(name), device="cpu").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.fixture
def form(tiny: VideoNetwork) -> CompiledNetwork:
    made = tiny.prepared(ComputeOptions(precision="float32", engine="openvino"))
    assert isinstance(made, CompiledNetwork)
    return made


@pytest.mark.parametrize("name", WIDTHS)
def test_float32_stays_within_1e_5_in_every_stage(name: str) -> None:
    network = make(name)
    compiled = network.prepared(ComputeOptions(precision="float32", engine="openvino"))
    with torch.inference_mode():
        plain = network.forward_stages(CLIPS, network.stage_names)
        found = compiled.forward_stages(CLIPS, network.stage_names)
        logits = compiled(CLIPS[:1])
    assert list(found) == list(network.stage_names)
    for stage, value in plain.items():
        assert found[stage].shape == value.shape
        assert found[stage].dtype == torch.float32
        assert relative(found[stage], value) < 1e-5, stage
    assert relative(logits, plain["logits"][:1]) < 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 5, 40, 56), (2, 3, 64, 32, 32), (3, 3, 1, 1, 1)])
def test_clips_of_other_shapes_are_computed_too(
    form: CompiledNetwork, tiny: VideoNetwork, shape: Sequence[int]
) -> None:
    clips = torch.rand(*shape)
    assert relative(form(clips), tiny(clips)) < 1e-5


def test_the_form_says_what_it_is(form: CompiledNetwork, tiny: VideoNetwork) -> None:
    assert (form.inference_precision, form.inference_engine) == ("float32", "openvino")
    assert (form.device.type, form.dtype) == ("cpu", torch.float32)
    assert form.num_features == tiny.num_features
    assert form.num_classes == 5
    assert form.stage_names == tiny.stage_names
    assert form.prepared(ComputeOptions(engine="openvino")) is form
    with pytest.raises(ValueError, match="prepared for 'openvino'; load it again"):
        form.prepared(ComputeOptions(engine="torch"))
    with pytest.raises(ValueError, match="stage 'layer9' is unknown"):
        form.forward_stages(CLIPS, ("layer9",))


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (lambda form: form.reset_classifier(3), ValueError),
        (lambda form: form.get_classifier(), ValueError),
        (lambda form: form.save_pretrained("x"), ValueError),
        (pickle.dumps, TypeError),
    ],
)
def test_what_only_the_plain_network_can_is_refused(
    form: CompiledNetwork, act: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="load the model without precision"):
        act(form)


def test_another_device_is_refused(form: CompiledNetwork, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 4)
    with pytest.raises(ValueError, match=r"runs on cpu alone|device"):
        extract_features(video, model=form, device="meta")


def test_extracted_features_are_those_of_the_plain_network(
    form: CompiledNetwork, tiny: VideoNetwork, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.mp4", 150)
    stages = ("avgpool", "layer2", "logits")
    for pool in (True, False):
        plain = extract_features(video, model=tiny, stages=stages, pool=pool)
        found = extract_features(video, model=form, stages=stages, pool=pool)
        assert len(found) == 10
        for stage in stages:
            np.testing.assert_allclose(found[stage], plain[stage], rtol=1e-4, atol=1e-5)
    assert found.provenance["engine"] == "openvino"
    assert found.provenance["model"] == plain.provenance["model"]


def test_threads_may_share_a_form(form: CompiledNetwork) -> None:
    batches = [torch.randint(0, 256, (n, 16, 112, 112, 3), dtype=torch.uint8) for n in (1, 7, 4, 9)]
    alone = [form.start(frames, stages=("avgpool",), pool=True)() for frames in batches]
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        pending = form.start(batches[number], stages=("avgpool",), pool=True)
        found[number] = pending()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, rows in enumerate(alone):
        np.testing.assert_array_equal(found[number]["avgpool"], rows["avgpool"])


def test_only_the_last_few_shapes_stay_compiled(
    form: CompiledNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3dhub.extraction.engines import openvino_network

    monkeypatch.setattr(openvino_network, "_MOST_PLANS", 2)
    form._plans.clear()
    for frames in (1, 2, 3):
        form(torch.rand(1, 3, frames, 16, 16))
    assert [plan.clip_shape[1] for plan in form._plans] == [2, 3]


def test_a_shape_that_openvino_refuses_is_an_error_that_says_what_works() -> None:
    network = make("densenet121")
    compiled = network.prepared(ComputeOptions(precision="float32", engine="openvino"))
    with torch.inference_mode():
        plain = network.forward_stages(CLIPS[:1], ("denseblock4", "logits"))
        found = compiled.forward_stages(CLIPS[:1], ("denseblock4", "logits"))
    for stage, value in plain.items():
        assert relative(found[stage], value) < 1e-5, stage
    with pytest.raises(ValueError, match="for clips of 3x4x32x32; engine='torch' can"):
        compiled(torch.rand(1, 3, 4, 32, 32))


@needs_bf16
def test_bfloat16_is_close(tiny: VideoNetwork) -> None:
    compiled = tiny.prepared(ComputeOptions(precision="bfloat16", engine="openvino"))
    assert compiled.inference_precision == "bfloat16"
    assert 0 < relative(compiled(CLIPS), tiny(CLIPS)) < 0.02
    assert tiny.prepared(ComputeOptions(precision="auto", engine="openvino")) is compiled


def test_int8_serves_all_stages(tiny: VideoNetwork) -> None:
    quantised = tiny.prepared(ComputeOptions(precision="int8"))
    assert isinstance(quantised, CompiledNetwork)
    assert quantised.inference_precision == "int8"
    clips = quantised.transforms.normalize(
        torch.from_numpy(np.stack([gradient(shift) for shift in range(4)]))
    )
    found = quantised.forward_stages(clips, tiny.stage_names)
    plain = tiny.forward_stages(clips, tiny.stage_names)
    for stage, value in plain.items():
        cosine = torch.cosine_similarity(found[stage].flatten(1), value.flatten(1)).min()
        assert cosine > 0.98, stage
    assert relative(found["avgpool"], plain["avgpool"]) > 1e-5  # it is quantised


def gradient(shift: int) -> np.ndarray:
    """Return a smooth moving uint8 clip (16, 112, 112, 3)."""
    t, y, x = np.mgrid[0:16, 0:112, 0:112]
    waves = [np.sin((x + 2 * y * k + 5 * t * shift) / (9 + 7 * k)) for k in range(3)]
    return (127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def test_int8_can_be_calibrated_with_own_videos(tiny: VideoNetwork, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 70)
    own = tiny.prepared(ComputeOptions(precision="int8", calibration=[video]))
    assert own is tiny.prepared(ComputeOptions(precision="int8", calibration=[video]))
    assert own is not tiny.prepared(ComputeOptions(precision="int8"))
    wrong: Any
    for wrong in ([], "v.mp4"):
        with pytest.raises(ValueError, match="a list with at least one video"):
            tiny.prepared(ComputeOptions(precision="int8", calibration=wrong))
    with pytest.raises(ValueError, match="only 'int8' is calibrated"):
        tiny.prepared(ComputeOptions(precision="float32", calibration=[video]))


def test_load_gives_the_form_and_the_same_hash(tiny: VideoNetwork, tmp_path: Path) -> None:
    folder = tiny.save_pretrained(tmp_path / "model")
    network = load(folder, device="cpu", precision="float32", engine="openvino")
    assert isinstance(network, CompiledNetwork)
    assert network.weights_sha256 == load(folder, device="cpu").weights_sha256 is not None
    with pytest.raises(ValueError, match="give a precision with them"):
        load(folder, engine="openvino")


@pytest.mark.parametrize(
    ("name", "engine", "message"),
    [
        ("int8", "torch", "has no int8 for 3D convolutions; leave engine out"),
        ("float16", "openvino", "use 'bfloat16', 'int8'"),
        ("float32", "onnx", "engine is 'onnx'; it must be one of torch, openvino"),
    ],
)
def test_what_cannot_be_served_is_refused(name: str, engine: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        precision.resolve(name, engine, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "lacking", "missing"), [("int8", "nncf", "nncf"), ("bfloat16", "openvino", "openvino")]
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, lacking: str, missing: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda found: None if found == lacking else find(found)
    )
    with pytest.raises(ValueError, match=rf"needs {missing}, .*c3dhub\[openvino\]"):
        precision.resolve(name, "openvino", torch.device("cpu"))


def test_a_cpu_without_the_instructions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "openvino_capabilities", lambda: frozenset({"FP32"}))
    for name in ("bfloat16", "int8"):
        with pytest.raises(ValueError, match="and this one has FP32; use 'float32'"):
            precision.resolve(name, "openvino", torch.device("cpu"))
    assert precision.resolve("auto", "openvino", torch.device("cpu"))[0] == "float32"


def test_slow_bfloat16_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "native_bfloat16", lambda _: False)
    with pytest.warns(UserWarning, match="slower than float32 here"):
        precision.resolve("bfloat16", None, torch.device("cpu"))


def test_preparing_leaves_logging_and_the_streams_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    level, streams = logging.root.manager.disable, (sys.stdout, sys.stderr)
    network = make("resnet10")
    network.prepared(ComputeOptions(precision="int8"))
    assert logging.root.handlers == []
    assert logging.root.manager.disable == level
    assert (sys.stdout, sys.stderr) == streams
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip() == "preparing resnet10 in int8 for OpenVINO: this takes a while, once"


def test_no_clips_are_an_error_that_says_so(form: CompiledNetwork) -> None:
    with pytest.raises(ValueError, match="there is no clip"):
        form(torch.zeros(0, 3, 16, 112, 112))


def test_the_provenance_of_int8_names_calibration_and_versions(
    tiny: VideoNetwork, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.mp4", 70)
    bundled = extract_features(video, model=tiny, precision="int8").provenance
    assert bundled["calibration"] == "bundled"
    assert bundled["engine_versions"]["openvino"]
    own = tiny.prepared(ComputeOptions(precision="int8", calibration=[video]))
    calibrated = extract_features(video, model=own).provenance
    assert calibrated["calibration"] not in (None, "bundled")
    assert extract_features(video, model=tiny).provenance["engine"] == "torch"


_KEEPS_SIGNALS = """
import ctypes, faulthandler, gc, signal, sys
import torch
import c3dhub
from c3dhub.extraction.engines import precision
from c3dhub.extraction.options import ComputeOptions

class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def stack():
    found = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.sp, found.size

faulthandler.enable()  # has a signal stack of its own
before = stack()
precision.openvino_capabilities()
assert stack() == before, "after asking what the CPU can do"
network = c3dhub.create_model("resnet10", num_classes=5, width=8, device="cpu").eval()
for wanted in ("float32", "int8"):
    if wanted == "int8" and "INT8" not in precision.openvino_capabilities():
        continue
    form = network.prepared(ComputeOptions(precision=wanted, engine="openvino"))
    form(torch.rand(1, 3, 16, 112, 112))
    assert stack() == before, wanted
del form, network
gc.collect()
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
for _ in range(20):
    signal.raise_signal(signal.SIGUSR1)
print(len(seen))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the signal stack as Linux gives it")
def test_signals_of_the_caller_are_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KEEPS_SIGNALS], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr
