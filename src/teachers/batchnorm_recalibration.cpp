// BatchNorm recalibration: statistics measured anew on images as they are.
#include <algorithm>

#include "retort/teachers/teacher.h"
#include "teachers/squeeze.h"

namespace retort::teachers {

at::Tensor recalibrated_batchnorm(const nets::Network& network, const at::Tensor& theta,
                                  const at::Tensor& images,
                                  const data::Preprocessing& preprocessing, int64_t batch_size) {
  const std::vector<NormLayer> layers = norm_layers(network);
  std::vector<std::string> taps;
  for (const NormLayer& layer : layers) taps.push_back(layer.name + ".input");
  at::Tensor sum = at::zeros({network.state().size}, theta.options());
  int64_t batches = 0;
  for (int64_t begin = 0; begin < images.size(0); begin += batch_size, ++batches) {
    const int64_t count = std::min(batch_size, images.size(0) - begin);
    const at::Tensor x = preprocessing.apply(images.narrow(0, begin, count), theta.device());
    const nets::Observation seen =
        network.observe({theta, {}, x, {}, nets::NormMode::kBatch}, taps);
    for (const NormLayer& layer : layers) {
      const auto [variance, mean] =
          at::var_mean(seen.taps.at(layer.name + ".input"), {0, 2, 3}, /*unbiased=*/true);
      sum.narrow(0, layer.mean, layer.channels).add_(mean);
      sum.narrow(0, layer.variance, layer.channels).add_(variance);
    }
  }
  return sum / static_cast<double>(batches);
}

}  // namespace retort::teachers
