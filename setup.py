"""Everything stands in pyproject.toml, but for one thing it cannot say: the wheel carries migrations/ inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["flowserver*"]), "flowserver.migrations"],
    package_dir={"flowserver.migrations": "migrations"},
)
