#include "methods/asked_images.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "retort/core/error.h"

namespace retort::methods {
namespace {

/// Training images of each class.
std::vector<int64_t> sizes_of(const data::Dataset& data) {
  std::vector<int64_t> sizes;
  for (const auto& members : data.train.rows_by_class) sizes.push_back(std::ssize(members));
  return sizes;
}

/// Classes that are asked for more images than they have.
std::vector<std::string> too_small(const data::Dataset& data, const DistillOptions& options) {
  return synthetic::classes_too_small(budget_of(data, options).counts, data.class_names,
                                      sizes_of(data));
}

}  // namespace

synthetic::SetLayout budget_of(const data::Dataset& data, const DistillOptions& options) {
  return {synthetic::parse_images_per_class(options.images_per_class, data.class_names,
                                            sizes_of(data), data.class_ids),
          data.channels, data.height, data.width};
}

void require_enough(const DistillInput& input) {
  std::vector<std::string> problems = too_small(input.data, input.options);
  if (problems.empty()) return;
  const std::vector<int64_t> sizes = sizes_of(input.data);
  const int64_t most = *std::min_element(sizes.begin(), sizes.end());
  throw ConfigError(ErrorMessage{
      "choosing " + input.options.images_per_class + " images of each class",
      fmt::format("{}", fmt::join(problems, "; ")), "as many as there are",
      fmt::format("give --images-per-class {} or fewer, proportional:TOTAL, a file of CLASS=COUNT "
                  "lines, or a method that learns images",
                  std::max<int64_t>(most, 1))});
}

std::vector<std::string> notes_on(const DistillInput& input) {
  std::vector<std::string> notes;
  const std::string begun = input.options.initialisation == "noise"
                                ? "all begin from noise"
                                : "those beyond begin from the same ones again, with noise";
  if (!input.options.init_from.empty()) return notes;
  const std::vector<std::string> few = too_small(input.data, input.options);
  if (few.size() == 1) notes.push_back(few.front() + ": " + begun);
  if (few.size() < 2) return notes;
  const std::vector<int64_t> counts = budget_of(input.data, input.options).counts,
                             sizes = sizes_of(input.data);
  const int64_t small =
      std::inner_product(counts.begin(), counts.end(), sizes.begin(), int64_t{0}, std::plus<>(),
                         [](int64_t asked, int64_t there) { return asked > there ? 1 : 0; });
  notes.push_back(
      fmt::format("{} of {} classes have fewer training images than are asked for ({}; {}{}): {}",
                  small, counts.size(), few[0], few[1], small > 2 ? "; and so on" : "", begun));
  return notes;
}

}  // namespace retort::methods
