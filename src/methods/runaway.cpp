#include "methods/runaway.h"

#include <fmt/format.h>

#include "methods/rate_options.h"

namespace retort::methods {
namespace {

/// Real images hardly reach 10, whitened ones neither.
constexpr double kFarthestPixel = 50;
/// Rates of students lie between 1e-4 and 1; the loop holds them at 1e-6 from below.
constexpr double kSmallestRate = 1e-6, kLargestRate = 10;
/// Logits and targets of a regression stay below some hundreds.
constexpr double kFarthestLabel = 1e4;

std::string advice(int64_t iterations, const std::string& found, const std::string& option) {
  return fmt::format(
      "after {} iteration{} {}: the set will hardly be of use; lower {} and choose "
      "another --out",
      iterations, iterations == 1 ? "" : "s", found, option);
}

}  // namespace

std::optional<std::string> runaway(const at::Tensor& images,
                                   const std::vector<synthetic::ParameterGroup>& learned,
                                   int64_t iterations) {
  const auto farthest = images.abs().max().item<double>();
  if (farthest > kFarthestPixel)
    return advice(iterations,
                  fmt::format("pixels lie up to {:.3g} deviations from the mean, where real images "
                              "hardly reach 10",
                              farthest),
                  "--image-learning-rate");
  for (const synthetic::ParameterGroup& one : learned) {
    const auto least = one.value.min().item<double>(), most = one.value.max().item<double>();
    if (one.name == "student_learning_rate" && (least < kSmallestRate || most > kLargestRate))
      return advice(iterations,
                    fmt::format("the student's learning rate is {:.3g}{}", least,
                                least < kSmallestRate ? " and held just above 0" : ""),
                    one.rate_option);
    if (one.rate_option == kLabelRateOption && std::max(-least, most) > kFarthestLabel)
      return advice(iterations,
                    fmt::format("learned labels are as large as {:.3g}", std::max(-least, most)),
                    one.rate_option);
  }
  return {};
}

}  // namespace retort::methods
