"""Puts `configs/`, which stands at the top of the repository, inside the wheel as `seqmodels/configs/`."""

from pathlib import Path

from setuptools import find_packages, setup

CONFIG_FOLDERS = ["configs", *sorted(str(path) for path in Path("configs").glob("**/") if path != Path("configs"))]
CONFIG_PACKAGES = {"seqmodels." + folder.replace("/", "."): folder for folder in CONFIG_FOLDERS}

setup(
    packages=[*find_packages(include=["seqmodels", "seqmodels.*"]), *CONFIG_PACKAGES],
    package_dir=CONFIG_PACKAGES,
    package_data={package: ["*.yaml"] for package in CONFIG_PACKAGES},
)
