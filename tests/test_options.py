"""Options are values: declared once, checked once, taken as keywords or whole."""

from __future__ import annotations

import argparse
import inspect
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_video import write_video

import c3dhub
from c3dhub import ClipOptions, ComputeOptions, ExtractOptions, OutputOptions, ReadOptions
from c3dhub.cli import build_parser
from c3dhub.cli.arguments import add_options
from c3dhub.extraction.options import (
    ClassifyKeywords,
    EvaluateKeywords,
    ExtractKeywords,
    RowKeywords,
)
from c3dhub.networks import VideoNetwork

FIELDS = {each.name: each for each in fields(ExtractOptions)}
TAKERS: dict[Callable[..., Any], type] = {
    c3dhub.extract_features: ExtractKeywords,
    c3dhub.extract_many: ExtractKeywords,
    VideoNetwork.extract_features: ExtractKeywords,
    c3dhub.classify: ClassifyKeywords,
    c3dhub.evaluate: EvaluateKeywords,
    c3dhub.probe: RowKeywords,
    c3dhub.VideoFeatures: RowKeywords,
}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("options") / "v.mp4", 24)


@pytest.mark.parametrize(
    "keywords", [ExtractKeywords, ClassifyKeywords, EvaluateKeywords, RowKeywords]
)
def test_keywords_are_fields_of_the_same_type(keywords: Any) -> None:
    for name in keywords.__optional_keys__:
        assert keywords.__annotations__[name].__forward_arg__ == FIELDS[name].type


def test_every_option_is_a_keyword_of_extract_features() -> None:
    assert FIELDS.keys() - ExtractKeywords.__optional_keys__ == {"calibration"}


@pytest.mark.parametrize("function", TAKERS)
def test_signatures_and_help_show_the_options_with_their_defaults(
    function: Callable[..., Any],
) -> None:
    parameters = inspect.signature(function).parameters
    names = TAKERS[function].__optional_keys__  # type: ignore[attr-defined]
    documented = inspect.getdoc(function.__init__ if inspect.isclass(function) else function)
    assert names <= parameters.keys()
    assert "options" in parameters
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in names:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == FIELDS[name].default
        assert documented is not None
        assert f"{name}: {FIELDS[name].metadata['help']}" in documented


@pytest.mark.parametrize("name", FIELDS.keys() - {"pool"})
def test_the_command_line_takes_each_option_and_defaults_agree(name: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, name)
    assert getattr(parser.parse_args([]), name) == FIELDS[name].default
    assert ExtractOptions(**vars(parser.parse_args([]))) == ExtractOptions()


@pytest.mark.parametrize(
    ("command", "keywords"),
    [
        ("extract", ExtractKeywords),
        ("classify", ClassifyKeywords),
        ("evaluate", EvaluateKeywords),
        ("probe", RowKeywords),
    ],
)
def test_each_command_takes_what_its_function_takes(command: str, keywords: Any) -> None:
    parsed = vars(build_parser().parse_args([command, "v.mp4", "--model", "m"]))
    assert keywords.__optional_keys__ | {"calibration"} <= parsed.keys()
    for name in FIELDS.keys() & parsed.keys():
        assert parsed[name] == FIELDS[name].default


def same(a: c3dhub.Features, b: c3dhub.Features) -> None:
    assert a.stages == b.stages
    for stage in a.stages:
        np.testing.assert_array_equal(a[stage], b[stage])


def test_options_do_what_keywords_do(video: Path, tiny: VideoNetwork) -> None:
    options = ExtractOptions(clip_len=4, frame_stride=2, stages=("layer1", "avgpool"), pool=False)
    expected = c3dhub.extract_features(
        video, model=tiny, clip_len=4, frame_stride=2, stages=("layer1", "avgpool"), pool=False
    )
    same(c3dhub.extract_features(video, model=tiny, options=options), expected)
    same(tiny.extract_features(video, options=options), expected)
    [(_, found)] = c3dhub.extract_many([video], model=tiny, options=options)
    assert isinstance(found, c3dhub.Features)
    same(found, expected)


def test_a_keyword_goes_before_the_options(video: Path, tiny: VideoNetwork) -> None:
    options = ExtractOptions(clip_len=4, stages=("layer1",))
    found = c3dhub.extract_features(video, model=tiny, options=options, clip_len=8)
    same(found, c3dhub.extract_features(video, model=tiny, clip_len=8, stages=("layer1",)))


@pytest.mark.parametrize(
    ("part", "keywords"),
    [
        (ClipOptions(clip_stride=5), {"clip_stride": 5}),
        (c3dhub.ClipRule(fps=5), {"clip_len": 16, "fps": 5}),
        (OutputOptions(stages=("layer2",)), {"stages": ("layer2",)}),
        (ReadOptions(batch_size=1), {"batch_size": 1}),
        (ComputeOptions(precision="float32"), {"precision": "float32"}),
    ],
)
def test_a_part_of_the_options_will_do(
    video: Path, tiny: VideoNetwork, part: Any, keywords: dict[str, Any]
) -> None:
    found = c3dhub.extract_features(video, model=tiny, options=part)
    same(found, c3dhub.extract_features(video, model=tiny, **keywords))


def test_options_without_a_clip_length_take_that_of_the_network(tiny: VideoNetwork) -> None:
    assert ClipOptions().rule(64) == c3dhub.ClipRule(clip_len=64)
    assert ClipOptions(clip_len=8, fps=3).rule(64) == c3dhub.ClipRule(clip_len=8, fps=3)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"fsp": 5}, TypeError, r"extract_features\(\) got an unexpected keyword argument 'fsp'"),
        ({"fsp": 5}, TypeError, "Did you mean fps"),
        ({"options": {"fps": 5}}, TypeError, "must be a c3dhub.ExtractOptions, or a part of it"),
        ({"errors": "ignore"}, ValueError, "errors is 'ignore'; it must be one of raise, strict"),
        ({"decode": "fats"}, ValueError, "decode is 'fats'.* Did you mean fast?"),
        ({"precision": "int4"}, ValueError, "precision is 'int4'; it must be one of float32"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; it must be a whole number above 0"),
        ({"stages": ("layer9",)}, ValueError, "stage 'layer9' is unknown"),
    ],
)
def test_what_is_wrong_is_said(
    video: Path, tiny: VideoNetwork, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        c3dhub.extract_features(video, model=tiny, **given)


def test_an_option_that_a_function_has_no_use_for_is_refused(
    video: Path, tiny: VideoNetwork
) -> None:
    with pytest.raises(ValueError, match=r"options has stages=\('layer1',\).* no use here"):
        c3dhub.classify(video, model=tiny, options=OutputOptions(stages=("layer1",)))
    with pytest.raises(TypeError, match="unexpected keyword argument 'stages'"):
        c3dhub.classify(video, model=tiny, stages=("layer1",))  # type: ignore[call-arg]


def test_the_transformer_takes_options_and_its_own_settings_go_before_them(
    video: Path, tiny: VideoNetwork
) -> None:
    options = ExtractOptions(stages=("layer1",), clip_len=4)
    made = c3dhub.VideoFeatures(tiny, options=options, cache=False)
    plain = c3dhub.VideoFeatures(tiny, stages=("layer1",), clip_len=4, cache=False)
    np.testing.assert_array_equal(made.transform([video]), plain.transform([video]))
    assert made.set_params(stages=("layer2",)).transform([video]).shape == (1, 16)


def test_a_transformer_out_of_a_pickle_keeps_its_options(video: Path, tiny: VideoNetwork) -> None:
    options = ExtractOptions(tail="zero", decode="fast", clip_len=64)
    made = c3dhub.VideoFeatures(tiny, options=options, cache=False)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.transform([video]), made.transform([video]))
    assert again._frozen().options == made._frozen().options == options


def test_the_calibration_of_options_reaches_the_form(tiny: VideoNetwork, video: Path) -> None:
    with pytest.raises(ValueError, match="calibration is given but precision is 'float32'"):
        tiny.extract_features(video, options=ComputeOptions(calibration=[video]))


def test_options_are_values() -> None:
    options = ExtractOptions(fps=5)
    assert replace(options, fps=None) == ExtractOptions()
    with pytest.raises(ValueError, match="end must lie after start"):
        replace(options, start=3, end=2)


def test_forms_on_any_engine_are_asked_in_one_way(tiny: VideoNetwork) -> None:
    pytest.importorskip("openvino")
    for engine in ("torch", "openvino"):
        form = tiny.prepared(ComputeOptions(engine=engine))
        assert form.prepared(ComputeOptions(precision="float32")) is form
        with pytest.raises(ValueError, match="prepared for 'float32'; load it again"):
            form.prepared(ComputeOptions(precision="int8"))
    with pytest.raises(ValueError, match="runs on cpu alone; load the model for that device"):
        form.prepared(ComputeOptions(device="meta"))
    assert not hasattr(form, "reset_classifier")
