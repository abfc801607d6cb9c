"""retort distils a large labelled image set into a tiny one on which a network trains almost as well."""

from ._check import require_torch as _require_torch

_require_torch()
