"""scikit-build-core, but that an sdist carries the headers that no package index has."""

import os
import subprocess

from scikit_build_core import build as _build
from scikit_build_core.build import *  # noqa: F401,F403


def build_sdist(sdist_directory, config_settings=None):
    if not os.path.exists(".deps/include/CLI/CLI.hpp"):
        subprocess.run(["scripts/bundle_deps.sh", ".deps"], check=True)
    return _build.build_sdist(sdist_directory, config_settings)
