// Published means and deviations. No torch here.
#include "data/normalisation.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/imagenet_classes.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

[[noreturn]] void refuse(const std::string& found, int64_t channels) {
  throw ConfigError({"normalising the images", found,
                     "the mean of each channel, then the deviation of each, above 0: " +
                         std::to_string(2 * channels) + " numbers for these images",
                     "for colour images such as --normalisation given --mean-and-deviation "
                     "0.5,0.5,0.5,0.25,0.25,0.25"});
}

Normalisation given(const std::vector<std::string>& numbers, int64_t channels) {
  std::vector<double> values;
  for (const std::string& text : numbers) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    constexpr double kLargest = 1e6;  // of pixels from 0 to 1
    if (result.ec != std::errc() || result.ptr != end || !(std::abs(value) <= kLargest))
      refuse("'" + text + "' of mean_and_deviation is no number of at most 1e6", channels);
    values.push_back(value);
  }
  if (std::ssize(values) != 2 * channels)
    refuse("mean_and_deviation has " + std::to_string(values.size()) + " numbers", channels);
  const auto middle = values.begin() + channels;
  if (std::any_of(middle, values.end(), [](double value) { return value <= 0; }))
    refuse("a deviation of mean_and_deviation is not above 0", channels);
  return {{values.begin(), middle}, {middle, values.end()}};
}

}  // namespace

std::optional<Normalisation> named_normalisation(const std::string& kind,
                                                 const std::vector<std::string>& numbers,
                                                 int64_t channels) {
  if (kind == "given") return given(numbers, channels);
  if (!numbers.empty())
    throw ConfigError({"normalising the images",
                       "mean_and_deviation is given and normalisation is '" + kind + "'",
                       "normalisation given",
                       "add --normalisation given, or leave --mean-and-deviation out"});
  if (kind != "cifar10" && kind != "imagenet") return std::nullopt;
  if (channels != 3)
    throw ConfigError(
        {"normalising the images",
         "'" + kind + "' is for three channels and the images have " + std::to_string(channels),
         "auto, computed, none, or given with numbers", "choose another"});
  return kind == "cifar10" ? cifar10_normalisation() : imagenet_normalisation();
}

bool are_imagenet(const std::vector<std::string>& class_ids) {
  return !class_ids.empty() &&
         std::all_of(class_ids.begin(), class_ids.end(),
                     [](const std::string& id) { return imagenet_index(id).has_value(); });
}

}  // namespace retort::data
