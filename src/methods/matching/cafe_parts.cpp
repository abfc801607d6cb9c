#include <algorithm>

#include "methods/matching/cafe.h"

namespace retort::methods {

std::vector<std::string> compared_layers(const nets::Network& network) {
  std::vector<std::string> layers;
  bool first = true;
  for (const std::string& tap : network.taps()) {
    const bool convolution = tap.ends_with(".input") && tap.find("conv") != std::string::npos;
    if (convolution && !first) layers.push_back(tap);
    if (convolution) first = false;
  }
  layers.emplace_back("features");
  return layers;
}

Discrimination discrimination(const at::Tensor& features, const at::Tensor& centres,
                              int64_t label) {
  const at::Tensor log_p = at::log_softmax(features.mm(centres.t()), 1);  // [R, K]
  at::Tensor slopes = log_p.exp();
  slopes.select(1, label).sub_(1);
  return {-log_p.select(1, label).sum(), slopes.t().mm(features)};
}

void Watcher::see(double value) {
  values_.push_back(value);
  if (std::ssize(values_) > length_) values_.pop_front();
}

double Watcher::spread() const {
  const auto [least, most] = std::minmax_element(values_.begin(), values_.end());
  return *most - *least;
}

}  // namespace retort::methods
