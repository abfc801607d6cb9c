#include "methods/decoupled/gather.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "retort/core/share.h"

namespace retort::methods {
namespace {

/// A recipe without its line of the share, and the share.
struct Part {
  std::string recipe;
  Share share;
};

Part part_of(const std::string& recipe) {
  constexpr std::string_view kKey = "share = \"";
  const size_t begin = recipe.find(std::string("\n") + std::string(kKey));
  if (begin == std::string::npos) return {recipe, {}};
  const size_t value = begin + 1 + kKey.size(), end = recipe.find('"', value);
  const size_t next = std::min(recipe.find('\n', value), recipe.size());
  return {recipe.substr(0, begin) + recipe.substr(next),
          parse_share(recipe.substr(value, end - value))};
}

StateError refused(const std::string& run, const std::string& found, const std::string& accepted) {
  return StateError(ErrorMessage{"gathering '" + run + "'", found, accepted,
                                 "give runs of the same options, one for each --share"});
}

synthetic::Bundle bundle_of(const std::string& run) {
  const std::filesystem::path path = run;
  return synthetic::load_bundle(std::filesystem::is_directory(path) ? path / "distilled.safetensors"
                                                                    : path);
}

}  // namespace

at::Tensor gather_shares(const Context& context, const std::vector<std::string>& runs,
                         const std::vector<std::vector<int64_t>>& passes) {
  const synthetic::SetLayout& layout = context.layout;
  at::Tensor images = at::empty({layout.size(), layout.channels, layout.height, layout.width});
  std::map<int64_t, std::string> seen;
  std::string recipe;
  for (const std::string& run : runs) {
    const synthetic::Bundle bundle = bundle_of(run);
    const Part part = part_of(bundle.recipe);
    if (part.share.count != std::ssize(runs))
      throw refused(run, fmt::format("it is one share of {}", part.share.count),
                    fmt::format("one of {}, as many as there are runs", runs.size()));
    if (!seen.emplace(part.share.index, run).second)
      throw refused(run, "it is the same share as '" + seen[part.share.index] + "'", {});
    if (bundle.images.sizes() != images.sizes() || bundle.counts() != layout.counts ||
        bundle.data_hash != context.data.hash)
      throw refused(run, "it is a set of other data or of other numbers of images", {});
    if (seen.size() > 1 && part.recipe != recipe)
      throw refused(run, "its options differ from those of '" + runs.front() + "'", {});
    recipe = part.recipe;
    for (const int64_t pass : part.share.items(std::ssize(passes))) {
      const at::Tensor rows = at::tensor(passes[to_size(pass)], at::kLong);
      images.index_copy_(0, rows, bundle.images.index_select(0, rows));
    }
  }
  return images.to(context.device);
}

}  // namespace retort::methods
