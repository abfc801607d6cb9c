#include "optim/optimizer.h"

#include <fmt/format.h>

#include "optim/kinds.h"
#include "retort/core/error.h"

namespace retort::optim {

void Optimizer::reset() {
  for (auto& [name, tensor] : state()) at::Tensor(tensor).zero_();
}

const std::vector<OptimizerEntry>& optimizer_table() {
  static const std::vector<OptimizerEntry> table = {
      {"sgd", "a velocity of the gradients", make_sgd, /*decays=*/true},
      {"adam", "Kingma and Ba, 2015", make_adam},
      {"adamw", "the same with a decay apart from the gradient (Loshchilov and Hutter, 2019)",
       make_adamw, /*decays=*/true},
      {"lamb", "adam's step scaled to the norm of the tensor (You et al., 2020)", make_lamb},
  };
  return table;
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const OptimizerEntry& entry : optimizer_table()) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const at::Tensor& like) {
  constexpr const char* kDoing = "choosing an optimizer";
  for (const OptimizerEntry& entry : optimizer_table()) {
    if (entry.name != options.name) continue;
    if (options.weight_decay != 0 && !entry.decays)
      throw ConfigError(ErrorMessage{
          kDoing, fmt::format("{} with a weight decay of {}", options.name, options.weight_decay),
          "a decay of 0", "adamw and sgd have one"});
    return entry.make(options, like);
  }
  throw ConfigError::unknown(kDoing, "optimizer", options.name, optimizer_names());
}

}  // namespace retort::optim
