"""Run the notebooks from a clean kernel and write what they show into them.

    python examples/run_notebooks.py                     # all of them
    python examples/run_notebooks.py features.ipynb
    python examples/run_notebooks.py --check             # small settings, nothing is written

A notebook that fails, warns or shows a path of this machine is not written. Needs nbclient,
ipykernel and matplotlib, which the extra ``test`` brings, and scikit-learn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SWITCH = "C3DHUB_EXAMPLES_SMALL"
_KEPT = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
Notebook = Any  # nbformat has no types


def notebooks() -> list[Path]:
    """Return the notebooks of this folder."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path, *, small: bool) -> Notebook:
    """Return the notebook with the outputs of a new kernel; the file stays as it is.

    ``small`` has it work on less data. Raises nbclient's CellExecutionError where a cell fails.
    """
    import matplotlib.font_manager  # noqa: F401  # else the kernel tells that it lists the fonts
    import nbformat
    from nbclient import NotebookClient

    notebook = cleared(nbformat.read(path, as_version=4))
    with tempfile.TemporaryDirectory() as profile:
        known = [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            SWITCH: str(int(small)),
            "IPYTHONDIR": profile,  # nothing of the user's own settings
            "C3DHUB_HOME": str(Path(profile) / "c3dhub"),
            "PYTHONPATH": os.pathsep.join(filter(None, known)),
        }
        client = NotebookClient(
            notebook, timeout=None, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
            # Else it warns that what it says on the loopback interface is not encrypted.
            extra_arguments=["--log-level=ERROR"],
        )  # fmt: skip
        client.execute(env=environment)
    return cleaned(notebook)


def cleared(notebook: Notebook) -> Notebook:
    """Remove all outputs, in place."""
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def cleaned(notebook: Notebook) -> Notebook:
    """Remove what depends on the machine and the moment, in place."""
    import nbformat

    notebook.metadata = nbformat.from_dict({**_KEPT, "ran": fingerprint(notebook)})
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
    return notebook


def fingerprint(notebook: Notebook) -> str:
    """Return the sha256 of the code, by which outputs are known to belong to it."""
    code = "\n# %%\n".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(code.encode()).hexdigest()


def code_cells(notebook: Notebook) -> list[Any]:
    """Return the cells with code, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def faults(notebook: Notebook) -> list[str]:
    """Return what must not stand in a notebook that people see; nothing where all is well."""
    found = []
    if notebook.metadata.get("ran") != fingerprint(notebook):
        found.append("the code is not that which gave the outputs: run run_notebooks.py")
    for number, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count != number:
            found.append(f"code cell {number} has execution count {cell.execution_count}")
        for output in cell.outputs:
            text = json.dumps(output)
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"code cell {number} shows an error or a warning: {text[:300]}")
            places = {str(Path.home()), tempfile.gettempdir(), str(FOLDER.parent), sys.prefix}
            found += [
                f"code cell {number} shows the path {place}" for place in places if place in text
            ]
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="notebooks of this folder (all)")
    parser.add_argument("--check", action="store_true", help="run small and write nothing")
    chosen = parser.parse_args()
    bad = 0
    for path in [FOLDER / name for name in chosen.names] or notebooks():
        done = execute(path, small=chosen.check)
        wrong = faults(done)
        for fault in wrong:
            print(f"{path.name}: {fault}", file=sys.stderr)
        if not wrong and not chosen.check:
            write(path, done)
        bad += bool(wrong)
        print(f"{path.name}: {'faults' if wrong else 'checked' if chosen.check else 'written'}")
    return 1 if bad else 0


def write(path: Path, notebook: Notebook) -> None:
    """Write the notebook in the form that it is kept in."""
    import nbformat

    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
