#include "methods/redraw.h"

#include <algorithm>
#include <sstream>

#include "core/registry.h"
#include "retort/methods/method.h"

namespace retort::methods {
namespace {

/// The method as the set's recipe sets it. Other lines of the recipe are nothing to it.
std::unique_ptr<Method> method_of(const synthetic::Bundle& bundle) {
  auto method = find_entry(std::span(method_table()), "method", bundle.method).make();
  OptionSet options;
  method->declare(options);
  std::istringstream recipe(bundle.recipe);
  std::string own;
  for (std::string line; std::getline(recipe, line);)
    if (options.find(line.substr(0, line.find(' ')))) own += line + "\n";
  Problems problems;
  for (const auto& [key, text] : parse_flat_toml(own, "the recipe of the set"))
    options.set(key, text, key, problems);
  problems.raise("choosing images as the set's recipe says");
  return method;
}

}  // namespace

bool can_choose_again(const synthetic::Bundle& bundle, const data::Dataset& data) {
  const auto named = [&](const MethodEntry& entry) { return entry.name == bundle.method; };
  return bundle.chosen && std::ranges::any_of(method_table(), named) &&
         bundle.data_hash == data.hash && !bundle.soft_labels.defined();
}

at::Tensor choose_again(const synthetic::Bundle& bundle, const data::Dataset& data, uint64_t seed,
                        at::Device device, const ProgressStyle& progress) {
  const auto method = method_of(bundle);
  const auto network = nets::make_network(bundle.network.empty() ? "convnet" : bundle.network,
                                          {data.channels, data.height, data.width, data.classes()});
  const synthetic::SetLayout layout{bundle.counts(), data.channels, data.height, data.width};
  Context context{data, *network, layout, bundle.augmentation, seed, device};
  context.progress = progress;
  const std::vector<int64_t> rows = method->selector(context)->select();
  return bundle.preprocessing.gather(data.train.images, at::tensor(rows, at::kLong), device)
      .to(at::kCPU);
}

}  // namespace retort::methods
