// The table of parametrisations, and the layout of their images.
#include "retort/synthetic/parametrisation.h"

#include <numeric>

#include "core/sizes.h"
#include "synthetic/frequency.h"
#include "synthetic/memories.h"
#include "synthetic/multiformation.h"
#include "synthetic/pixels.h"

namespace retort::synthetic {
int64_t SetLayout::size() const {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::vector<int64_t> SetLayout::offsets() const {
  std::vector<int64_t> out = {0};
  for (const int64_t count : counts) out.push_back(out.back() + count);
  return out;
}

at::Tensor SetLayout::labels() const {
  std::vector<int64_t> out;
  for (size_t c = 0; c < counts.size(); ++c)
    out.insert(out.end(), to_size(counts[c]), static_cast<int64_t>(c));
  return at::tensor(out, at::kLong);
}

const std::vector<ParametrisationEntry>& parametrisation_table() {
  static const std::vector<ParametrisationEntry> table = {
      {"pixels", "every pixel of every image is a parameter", &make_pixels},
      {"memories", "bases that all classes share, combined by coefficients that labels address",
       &make_memories},
      {"multiformation", "every stored image is a mosaic of smaller ones", &make_multiformation},
      {"frequency", "the cosine coefficients in which the images of a class differ most",
       &make_frequency},
  };
  return table;
}

}  // namespace retort::synthetic
