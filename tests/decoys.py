"""A folder full of files that somebody else left there: an import of one of them is found out."""

import sys
from importlib import metadata
from pathlib import Path

ALWAYS = {"sitecustomize", "usercustomize", "components", "mta_lab", "sweeps", "conftest"}
FOLDERS = {"components", "mta_lab", "sweeps"}


def names() -> set[str]:
    """Return the names that Python or an installed library may import: nearly a thousand."""
    installed = {name for name in metadata.packages_distributions() if name.isidentifier()}
    return {*sys.stdlib_module_names, *installed, *ALWAYS}


def leave_decoys(folder: Path, names: set[str]) -> Path:
    """Write a module of each name into `folder`; return the file that will list imported ones."""
    told = folder / "ran.txt"
    code = f"open({str(told)!r}, 'a').write(__name__ + '\\n')\nraise ImportError('a decoy ran')\n"
    for name in names:
        file = folder / name / "__init__.py" if name in FOLDERS else folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    return told
