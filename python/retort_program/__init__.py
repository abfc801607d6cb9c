"""The command `retort`: the C++ program that lies in the package `retort`, found and started.

It stands apart from that package, and imports neither it nor PyTorch: the command starts at once.
"""

import importlib.metadata
import importlib.util
import os
import runpy
import sys


def main():
    package = importlib.util.find_spec("retort").submodule_search_locations[0]
    torch = importlib.util.find_spec("torch")
    libraries = None if torch is None else os.path.join(os.path.dirname(torch.origin), "lib")
    check, build = (runpy.run_path(os.path.join(package, f"{name}.py")) for name in ("_check", "_build"))
    wrong = check["mismatch"](build, _version(torch, build), _has_cuda(libraries))
    if wrong is not None:
        sys.exit(f"retort: {wrong}")
    environment = dict(os.environ)
    if not os.path.exists(os.path.join(package, "..", "torch")):  # installed elsewhere than the program looks
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, [libraries, environment.get("LD_LIBRARY_PATH")]))
    os.execve(os.path.join(package, "bin", "retort"), ["retort", *sys.argv[1:]], environment)


def _version(torch, build):
    """That of PyTorch as its package says, without loading it; the wanted one where it does not say."""
    if torch is None:
        return None
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return build["TORCH"]


def _has_cuda(libraries):
    return libraries is not None and os.path.exists(os.path.join(libraries, "libtorch_cuda.so"))
