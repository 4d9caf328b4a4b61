"""Puts `configs/`, which stands at the top of the repository, inside the wheel, and builds the compiled loop.

The loop is built where there is a C++ compiler; where there is none, installing goes on without it.
"""

from pathlib import Path

from setuptools import Extension, find_packages, setup

CONFIG_FOLDERS = ["configs", *sorted(str(path) for path in Path("configs").glob("**/") if path != Path("configs"))]
CONFIG_PACKAGES = {"seqmodels." + folder.replace("/", "."): folder for folder in CONFIG_FOLDERS}

COMPILED = "seqmodels/nn/kernels/compiled"
LOOPS = Extension(
    "seqmodels.nn.kernels.compiled._loops",
    sources=[f"{COMPILED}/loops.cpp"],
    depends=[f"{COMPILED}/types.inc", f"{COMPILED}/loop.inc"],
    extra_compile_args=["-O3", "-std=c++17", "-fno-math-errno", "-Wno-psabi", "-Wno-maybe-uninitialized"],
    extra_link_args=["-pthread"],
    language="c++",
    optional=True,
)

setup(
    ext_modules=[LOOPS],
    packages=[*find_packages(include=["seqmodels", "seqmodels.*"]), *CONFIG_PACKAGES],
    package_dir=CONFIG_PACKAGES,
    package_data={package: ["*.yaml"] for package in CONFIG_PACKAGES}
    | {"seqmodels.views": ["*.css", "*.html", "*.js"]},
)
