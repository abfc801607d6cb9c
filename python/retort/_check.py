"""What is checked before the C++ module, or the program, is loaded. It imports nothing: the program runs it alone."""


def mismatch(build, found, has_cuda):
    """What is wrong with a PyTorch for retort as it was built (`build`: VERSION, TORCH, TORCH_CUDA), or None.

    `found` is the version of the PyTorch that is installed, None without one; local parts ("+cpu") may differ.
    """
    built = f"retort {build['VERSION']} was built for PyTorch {build['TORCH']}, and"
    wanted = build["TORCH"].split("+")[0]
    if found is None:
        return f"{built} there is no PyTorch here: pip install torch=={wanted}"
    if found.split("+")[0] == wanted and (has_cuda or not build["TORCH_CUDA"]):
        return None
    kind = "" if has_cuda or not build["TORCH_CUDA"] else ", a build without CUDA,"
    return (f"{built} PyTorch {found}{kind} is installed: install retort again (pip install --no-build-isolation "
            f"--force-reinstall --no-deps .), or the PyTorch that it was built for")


def require_torch():
    """ImportError naming both versions where PyTorch is not the one that retort was built for."""
    from . import _build

    try:
        import torch
    except ImportError as problem:
        raise ImportError(mismatch(vars(_build), None, False)) from problem
    wrong = mismatch(vars(_build), torch.__version__, torch.version.cuda is not None)
    if wrong is not None:
        raise ImportError(wrong)
