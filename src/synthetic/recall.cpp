#include "synthetic/recall.h"

#include "retort/core/error.h"
#include "synthetic/memories.h"

namespace retort::synthetic {

at::Tensor recall(const Bundle& bundle, const at::Tensor& queries) {
  const auto bases = bundle.compact.find("bases"), found = bundle.compact.find("coefficients");
  if (bases == bundle.compact.end() || found == bundle.compact.end())
    throw StateError(ErrorMessage{
        "recalling from the set",
        bundle.parametrisation == "memories"
            ? "it has no bases and coefficients, though its parametrisation is 'memories'"
            : "its parametrisation is '" + bundle.parametrisation + "'",
        "a set of memories, which labels address", "distil it with --parametrisation memories"});
  const int64_t classes = bundle.classes(), count = bases->second.size(0);
  const at::Tensor& coefficients = found->second;
  if (coefficients.dim() != 2 || coefficients.size(1) != count ||
      coefficients.size(0) % classes != 0 || bases->second.dim() != 4)
    throw StateError(
        ErrorMessage{"recalling from the set", "its coefficients do not fit its bases", {}, {}});
  TORCH_CHECK(queries.dim() == 2 && queries.size(1) == classes, "queries of shape ",
              queries.sizes(), " for ", classes, " classes");
  // [classes, r K]: row c holds row c of every addressing matrix.
  const at::Tensor rows = at::matmul(queries.to(coefficients), coefficients.view({classes, -1}));
  return combine(bases->second, rows.view({-1, count}), bundle.images.sizes().slice(2));
}

}  // namespace retort::synthetic
