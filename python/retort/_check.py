"""What is checked before the C++ module is loaded."""


def require_torch():
    """ImportError naming both versions where PyTorch is not the one that retort was built for."""
    from . import _build

    try:
        import torch
    except ImportError as problem:
        raise ImportError(f"retort {_build.VERSION} was built for PyTorch {_build.TORCH}, and there is no PyTorch here: "
                          f"pip install torch=={_build.TORCH.split('+')[0]}") from problem
    found, wanted = torch.__version__, _build.TORCH
    same = found.split("+")[0] == wanted.split("+")[0]
    if not same or (_build.TORCH_CUDA and torch.version.cuda is None):
        raise ImportError(f"retort {_build.VERSION} was built for PyTorch {wanted}, and PyTorch {found} is installed: "
                          f"install retort again (pip install --no-build-isolation --force-reinstall --no-deps .), "
                          f"or the PyTorch that it was built for")
