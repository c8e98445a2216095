"""Really builds, really installs: the registry is found in every form that c3dhub comes in.

No dependency is installed and nothing is fetched: `c3dhub list` and `info` need only Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import setuptools
from setuptools.command.build_py import build_py

import c3dhub
from c3dhub._build import BuildPy

ROOT = Path(__file__).parent.parent
DIST_INFO = f"c3dhub-{c3dhub.__version__}.dist-info"
BUNDLED = "registry/bundled/resnet18_figures"
MOST_BYTES = 12_000_000  # of a wheel
NOT_COPIED = shutil.ignore_patterns(
    ".git", "__pycache__", "*.egg-info", "build", "dist", "*venv*", ".*_cache", ".hypothesis",
    ".coverage*",
)  # fmt: skip
WITHOUT_NOISE = {"PYTHONWARNINGS": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command away from the checkout, and show what it said where it fails."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV", "C3DHUB"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **WITHOUT_NOISE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source tree, so that building leaves nothing in the real one."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("source") / "checkout", ignore=NOT_COPIED, symlinks=True
    )


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Path:
    """Return a source distribution built from the checkout."""
    return build(checkout, "--sdist")


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    """Return a wheel built from the checkout."""
    return build(checkout, "--wheel")


@pytest.fixture(scope="module")
def wheel_of_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from the unpacked sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        # Our own archive; the argument exists in every security release of Python 3.10 and later.
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build(source, "--wheel")


def build(source: Path, form: str) -> Path:
    """Build one form of a source tree and return its file."""
    out = source.parent / f"dist{form}"
    options = ("--no-isolation", form, "--outdir", out)
    run(sys.executable, "-m", "build", *options, source, cwd=source.parent)
    (found,) = out.iterdir()
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return the Python of a fresh and empty virtual environment."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    folder = "Scripts" if os.name == "nt" else "bin"
    return tmp_path / "venv" / folder / "python"


@pytest.fixture(scope="module")
def build_tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder that lends this environment's setuptools, and nothing else, to another."""
    folder = tmp_path_factory.mktemp("tools")
    site = Path(setuptools.__file__).parent.parent
    metadata = f"setuptools-{setuptools.__version__}.dist-info"
    for name in ("setuptools", "_distutils_hack", metadata):
        shutil.copytree(site / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(folder)


def install(python: Path, *what: str | Path, **environment: str) -> None:
    """Install with this environment's pip into another, without dependencies, without network."""
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    options = ("--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, *options, *what, cwd=python.parent, **environment)


def check_registry(*command: str | Path, cwd: Path, **environment: str) -> None:
    """Ask for the list and for one model, away from the checkout."""
    listed = run(*command, "list", cwd=cwd, **environment)
    assert listed.startswith("name ")
    statuses = (" download", " manual", " bundled")
    assert sum(line.endswith(statuses) for line in listed.splitlines()) == 41
    told = run(*command, "info", "resnet50_kinetics", cwd=cwd, **environment)
    assert "abseiling, air drumming" in told
    verdict = run(*command, "verify", "resnet18_figures", cwd=cwd, **environment)
    assert verdict.startswith("ok ")
    assert Path(run(*command, "demo", "--path", cwd=cwd, **environment).strip()).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["wheel", "wheel_of_sdist"])
def test_registry_is_found_from_an_installed_wheel(
    form: str, environment: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    install(environment, request.getfixturevalue(form))
    check_registry(environment.parent / "c3dhub", cwd=tmp_path)
    check_registry(environment, "-m", "c3dhub", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_registry_is_found_from_an_editable_install(
    mode: str, environment: Path, tmp_path: Path, checkout: Path, build_tools: Path
) -> None:
    options = ("--config-settings", f"editable_mode={mode}", "--editable", checkout)
    install(environment, *options, PYTHONPATH=str(build_tools))
    check_registry(environment.parent / "c3dhub", cwd=tmp_path)
    assert not (checkout / "c3dhub" / "registry" / "weights_manifest.json").exists()


@pytest.mark.slow
def test_registry_is_found_from_a_checkout(
    environment: Path, tmp_path: Path, checkout: Path
) -> None:
    check_registry(environment, "-m", "c3dhub", cwd=tmp_path, PYTHONPATH=str(checkout))
    check_registry(environment, "-m", "c3dhub", cwd=checkout)


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(wheel: Path, wheel_of_sdist: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(wheel_of_sdist) as second:
        names = set(archive.namelist())
        assert names == set(second.namelist())
        manifest = archive.read("c3dhub/registry/weights_manifest.json")
        weights = archive.read(f"c3dhub/{BUNDLED}/model.safetensors")
        metadata = archive.read(f"{DIST_INFO}/METADATA").decode()
    assert manifest == (ROOT / "weights_manifest.json").read_bytes()
    assert weights == (ROOT / "c3dhub" / BUNDLED / "model.safetensors").read_bytes()
    assert wheel.stat().st_size < MOST_BYTES
    assert {name.split("/")[0] for name in names} == {"c3dhub", DIST_INFO}
    assert names >= {
        "c3dhub/py.typed",
        "c3dhub/registry/labels/ucf101.txt",
        f"c3dhub/{BUNDLED}/config.json",
        f"c3dhub/{BUNDLED}/README.md",
        "c3dhub/registry/bundled/sample/sample.mp4",
        "c3dhub/registry/bundled/sample/sample.json",
        f"{DIST_INFO}/licenses/LICENSE",
        f"{DIST_INFO}/licenses/NOTICE",
    }
    assert "License-Expression: Apache-2.0" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    core = sorted(line.split()[1].split(">")[0] for line in required if "extra ==" not in line)
    assert core == ["av", "huggingface_hub", "numpy", "safetensors", "torch"]


@pytest.mark.slow
def test_demo_runs_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    told = run(
        sys.executable, "-m", "c3dhub", "demo", "--json", cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "site"), HOME=str(tmp_path / "none"),
    )  # fmt: skip
    assert json.loads(told)["video"].startswith(str(tmp_path / "site"))
    assert {path.name for path in tmp_path.iterdir()} == {"site", "demo_features.safetensors"}


@pytest.mark.slow
def test_sdist_holds_the_manifest_and_tests_that_can_run(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "weights_manifest.json",
        "CHANGELOG.md",
        "tests/conftest.py",
        "tests/test_packaging.py",
        f"c3dhub/{BUNDLED}/model.safetensors",
        "tests/golden/checkpoints.json.gz",
        "examples/pretrain/figures.py",
        "benchmarks/run.py",
    }
    assert not any("__pycache__" in name for name in names)


def test_build_step_names_the_manifest_as_source_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "c3dhub"
    package.mkdir()
    (package / "__init__.py").touch()
    (tmp_path / "weights_manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    command = BuildPy(setuptools.Distribution({"packages": ["c3dhub"], "script_name": "setup.py"}))
    assert isinstance(command, build_py)
    command.ensure_finalized()
    target = str(Path(command.build_lib, "c3dhub", "registry", "weights_manifest.json"))
    assert command.get_output_mapping()[target] == "weights_manifest.json"
    assert "weights_manifest.json" in command.get_source_files()
    assert "CHANGELOG.md" not in command.get_source_files()
    command.editable_mode = True
    command.run()
    assert not Path(target).exists()
    assert command.get_outputs(include_bytecode=False).count(target) == 1
    command.editable_mode = False
    command.run()
    assert Path(target).read_text() == "{}"
    assert command.get_outputs(include_bytecode=False).count(target) == 1
