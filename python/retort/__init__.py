"""retort distils a large labelled image set into a tiny one on which a network trains almost as well.

    import retort
    made = retort.distill(method="dm", data="shapes", images_per_class=1, iterations=100, out="runs/a")
    print(retort.evaluate(made, "shapes"))

Everything is computed by the C++ library that the command `retort` runs on; this package is a thin layer over it.
"""

from ._check import require_torch as _require_torch

_require_torch()

import torch as _torch  # noqa: E402,F401  its libraries have to be there first

from ._build import VERSION as __version__  # noqa: E402
from ._core import ConfigError, DataError, Error, ResourceError, StateError  # noqa: E402
from .callbacks import Callback, TensorBoard, WandB  # noqa: E402
from .draws import RealImages, Stream, apply_augmentation, draw_augmentation  # noqa: E402
from .images import Images  # noqa: E402
from .network import Gradient, GradientJvp, Network  # noqa: E402
from .objective import Objective, Run  # noqa: E402
from .processes import alone  # noqa: E402
from .runs import (Evaluation, Option, distill, evaluate, experts, import_published, options, relabel,  # noqa: E402
                   reproduce, squeeze, zoo)
from .sets import Normalize, SetDataset, SyntheticSet, augment, from_tensors, load  # noqa: E402
from .unrolling import unroll  # noqa: E402

__all__ = ["Callback", "ConfigError", "DataError", "Error", "Evaluation", "Gradient", "GradientJvp", "Images",
           "Network", "Normalize", "Objective", "Option", "RealImages", "ResourceError", "Run", "SetDataset",
           "StateError", "Stream", "SyntheticSet", "TensorBoard", "WandB", "__version__", "alone",
           "apply_augmentation", "augment", "distill", "draw_augmentation", "evaluate", "experts", "from_tensors",
           "import_published", "load", "options", "relabel", "reproduce", "squeeze", "unroll", "zoo"]
