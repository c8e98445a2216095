"""The notebooks run from a clean kernel, and what they show is what their code gave."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

import run_notebooks  # noqa: E402

NAMES = ("features.ipynb", "few_shot.ipynb", "similar_moments.ipynb")
MOST_BYTES = 2_000_000


def read(name: str) -> Any:
    return nbformat.read(EXAMPLES / name, as_version=4)


def test_these_are_the_notebooks() -> None:
    assert [path.name for path in run_notebooks.notebooks()] == list(NAMES)
    assert sum(path.stat().st_size for path in run_notebooks.notebooks()) < MOST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_clean_kernel_runs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = (EXAMPLES / name).read_bytes()
    done = run_notebooks.execute(EXAMPLES / name, small=True)
    assert run_notebooks.faults(done) == []
    assert (EXAMPLES / name).read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_the_outputs_that_are_kept_belong_to_the_code(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert run_notebooks.faults(notebook) == []
    shown = [output for cell in run_notebooks.code_cells(notebook) for output in cell.outputs]
    pictures = [o for o in shown if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    assert any(output.output_type == "stream" for output in shown)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_machine_is_kept(name: str) -> None:
    notebook = read(name)
    assert set(notebook.metadata) == {"kernelspec", "language_info", "ran"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert [cell.id for cell in notebook.cells] == [f"cell-{i}" for i in range(len(notebook.cells))]
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert not any(place in text for place in ("/home/", "/Users/", "/root/", "/tmp/"))


def test_faults_are_found() -> None:
    whole = read(NAMES[0])
    edited = copy.deepcopy(whole)
    run_notebooks.code_cells(edited)[0].source += "\nx = 1"
    assert "not that which gave" in run_notebooks.faults(edited)[0]
    disordered = copy.deepcopy(whole)
    run_notebooks.code_cells(disordered)[1].execution_count = 7
    assert "has execution count 7" in run_notebooks.faults(disordered)[0]
    for output, told in (
        (nbformat.v4.new_output("stream", name="stderr", text="Warning: x"), "Warning: x"),
        (nbformat.v4.new_output("error", ename="E", evalue="bad"), "bad"),
        (nbformat.v4.new_output("stream", name="stdout", text=str(EXAMPLES)), "shows the path"),
    ):
        marred = copy.deepcopy(whole)
        run_notebooks.code_cells(marred)[2].outputs.append(output)
        (fault, *_) = run_notebooks.faults(marred)
        assert "code cell 3" in fault
        assert told in fault
    assert run_notebooks.faults(run_notebooks.cleared(whole))


def test_the_command_writes_a_notebook_without_faults_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_notebooks, "FOLDER", tmp_path)
    cells = {"good": "print('fine')", "bad": "import warnings\nwarnings.warn('odd')"}
    for name, code in cells.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        run_notebooks.write(tmp_path / f"{name}.ipynb", run_notebooks.cleaned(notebook))
    before = {name: (tmp_path / f"{name}.ipynb").read_bytes() for name in cells}
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py"])
    assert run_notebooks.main() == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["bad.ipynb: faults", "good.ipynb: written"]
    assert "odd" in captured.err
    assert (tmp_path / "bad.ipynb").read_bytes() == before["bad"]
    assert b"fine\\n" in (tmp_path / "good.ipynb").read_bytes()
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", "--check", "good.ipynb"])
    assert run_notebooks.main() == 0
    assert capsys.readouterr().out == "good.ipynb: checked\n"
