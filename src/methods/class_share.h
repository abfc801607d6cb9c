// What the objectives have in common whose classes are shared among processes.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "core/sizes.h"

namespace retort::methods {

/// The rows of some classes, of which class c has offsets[c]..offsets[c + 1] - 1.
inline std::vector<int64_t> rows_of(const std::vector<int64_t>& classes,
                                    const std::vector<int64_t>& offsets) {
  std::vector<int64_t> rows;
  for (const int64_t c : classes)
    for (int64_t row = offsets[to_size(c)]; row < offsets[to_size(c) + 1]; ++row)
      rows.push_back(row);
  return rows;
}

/// Scalars of float64, brought to the host in one go.
inline std::vector<double> numbers_of(const std::vector<at::Tensor>& scalars) {
  if (scalars.empty()) return {};
  const at::Tensor host = at::stack(scalars).to(at::kCPU);
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

}  // namespace retort::methods
