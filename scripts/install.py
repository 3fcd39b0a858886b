"""Build the wheel and install it: into the virtual environment, and as a plugin of an own QGIS profile.

``--zip`` writes build/dist/gwsa_qgis.zip as well: the wheel without its dist-info, which is the plugin.
Nothing is rebuilt while the sources are as they were.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
PLUGIN = "gwsa_qgis"
SHIPPED = ("gwsa_qgis", "processing_provider", "models", "metadata.txt", "LICENSE", "resources.qrc", "pyproject.toml")


def fingerprint() -> str:
    """Hash of names and contents of all that ships."""
    digest = hashlib.sha256()
    for name in SHIPPED:
        place = ROOT / name
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def build_wheel() -> Path:
    """Build the wheel and return its path."""
    folder = BUILD / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def unpack_plugin(wheel: Path) -> None:
    """Lay the plugin into build/plugins, where QGIS_PLUGINPATH points."""
    folder = BUILD / "plugins"
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(f"{PLUGIN}/")])


def write_zip() -> Path:
    """Zip the plugin folder as QGIS installs it, the same bytes for the same sources."""
    path = BUILD / "dist" / f"{PLUGIN}.zip"
    folder = BUILD / "plugins"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / PLUGIN).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                entry = zipfile.ZipInfo(str(file.relative_to(folder)), date_time=(2020, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def prepare_profile() -> None:
    """Let the own QGIS profile find the virtual environment's packages, the way a user's profile finds its."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = BUILD / "profile" / "profiles" / "default" / "python" / "dependencies" / version
    packages = Path(sysconfig.get_path("purelib"))
    if folder.is_symlink() and folder.resolve() == packages.resolve():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.unlink(missing_ok=True)
    folder.symlink_to(packages, target_is_directory=True)


def main() -> None:
    """Build and install unless all is as it was."""
    stamp = BUILD / "installed"
    now = fingerprint()
    installed = Path(sysconfig.get_path("purelib")) / PLUGIN
    if not (stamp.exists() and stamp.read_text() == now and installed.exists() and (BUILD / "plugins").exists()):
        wheel = build_wheel()
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", "--no-index"]
        subprocess.run([*pip, str(wheel)], check=True)
        unpack_plugin(wheel)
        stamp.write_text(now)
    prepare_profile()
    if "--zip" in sys.argv:
        print(write_zip())


if __name__ == "__main__":
    main()
