// Whether a set and the data that it is judged on fit.
#include <fmt/format.h>

#include "retort/core/error.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {
namespace {

std::string shape_text(int64_t channels, int64_t height, int64_t width) {
  return fmt::format("images of {}x{}x{}", channels, height, width);
}

/// What differs between the bundle and the data, as (bundle's, data's); empty where they fit.
std::pair<std::string, std::string> misfit(const synthetic::Bundle& bundle,
                                           const data::Dataset& data) {
  if (bundle.classes() != data.classes())
    return {fmt::format("{} classes", bundle.classes()), fmt::format("{} classes", data.classes())};
  for (size_t c = 0; c < data.class_names.size(); ++c)
    if (bundle.class_names[c] != data.class_names[c])
      return {fmt::format("class {} '{}'", c, bundle.class_names[c]),
              fmt::format("class {} '{}'", c, data.class_names[c])};
  const std::string ours =
      shape_text(bundle.images.size(1), bundle.images.size(2), bundle.images.size(3));
  const std::string theirs = shape_text(data.channels, data.height, data.width);
  if (ours != theirs) return {ours, theirs};
  return {};
}

}  // namespace

void check_fit(const synthetic::Bundle& bundle, const data::Dataset& data,
               const std::string& doing) {
  const auto [ours, theirs] = misfit(bundle, data);
  if (ours.empty()) return;
  throw StateError(
      {doing,
       fmt::format("the bundle (method {}, made from '{}') has {}; the data set '{}' has {}",
                   bundle.method, bundle.data_name, ours, data.name, theirs),
       "data with the bundle's classes, in its order, and its image shape",
       "give the data set, --classes and --resolution that the bundle was made with; an imported "
       "bundle takes its class names on import"});
}

}  // namespace retort::eval
