"""The build step behind ``cmdclass`` in setup.cfg: it puts the manifest into wheels and sdists.

``weights_manifest.json`` stands at the top of the repository, where people look for it and edit
it. A wheel holds packages only, so the build copies the file into ``c3dhub/``; the source tree
keeps its one copy. setuptools loads this file by its path, so it must not import from c3dhub.
"""

from __future__ import annotations

from pathlib import Path

from setuptools.command.build_py import build_py

MANIFEST = "weights_manifest.json"
# Beside what setuptools takes by itself, so that the tests of an sdist can be run.
SDIST_FILES = (MANIFEST, "CHANGELOG.md")
SDIST_FOLDERS = ("tests", "examples", "benchmarks")


class BuildPy(build_py):  # type: ignore[misc]  # setuptools has no types
    """``build_py`` that adds ``c3dhub/registry/weights_manifest.json`` to what it builds."""

    def run(self) -> None:
        """Copy the packages, then the manifest; an editable install reads it where it stands."""
        super().run()
        if not self.editable_mode:
            self.mkpath(str(Path(self._target()).parent))
            self.copy_file(MANIFEST, self._target(), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return all the files that the build makes, the manifest among them."""
        outputs = super().get_outputs(include_bytecode)
        return outputs if self._target() in outputs else [*outputs, self._target()]

    def get_output_mapping(self) -> dict[str, str]:
        """Return built file -> source file; a strict editable install links along it."""
        return {**super().get_output_mapping(), self._target(): MANIFEST}

    def get_source_files(self) -> list[str]:
        """Return the files that an sdist must hold."""
        found = (path for folder in SDIST_FOLDERS for path in sorted(Path(folder).rglob("*")))
        extra = [str(p) for p in found if p.is_file() and "__pycache__" not in p.parts]
        present = [name for name in SDIST_FILES if Path(name).is_file()]
        return [*super().get_source_files(), *present, *extra]

    def _target(self) -> str:
        return str(Path(self.build_lib, "c3dhub", "registry", MANIFEST))
