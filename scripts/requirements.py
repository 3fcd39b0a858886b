"""Print the packages that pyproject.toml declares in the named extras, one a line."""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Read `pyproject.toml` and the extras named on the command line."""
    project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    for extra in sys.argv[2:]:
        print("\n".join(project["optional-dependencies"][extra]))


if __name__ == "__main__":
    main()
