// The linear layer on top of a frozen network.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/nets/network.h"

namespace retort::teachers {

struct ProbeOptions {
  int64_t epochs = 20;
  double learning_rate = 1e-3;
  int64_t batch_size = 256;
  uint64_t seed = 0;
};

/// theta with another last layer, trained on the features of the given training rows without
/// augmentation and with running statistics. Everything else stays as it is, to the bit.
at::Tensor probed(const nets::Network& network, const at::Tensor& theta, const at::Tensor& state,
                  const data::Dataset& data, const std::vector<int64_t>& rows,
                  const ProbeOptions& options, at::Device device);

}  // namespace retort::teachers
