#include "methods/outer_loop.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "retort/core/error.h"

namespace retort::methods {
namespace {

constexpr const char* kAnother = "choose another --out, or remove the checkpoint to begin anew";
constexpr const char* kFormat = "retort-checkpoint-1";

/// Called before anything of the iteration is written.
void require_finite(bool finite, const std::string& what, int64_t iteration) {
  if (finite) return;
  throw StateError(
      Report{fmt::format("distilling, iteration {}", iteration),
             what,
             {},
             "lower --image-learning-rate and choose another --out; the checkpoint of the "
             "iterations before is kept"});
}

}  // namespace

OuterLoop::OuterLoop(const DistillOptions& options,
                     std::unique_ptr<synthetic::Parametrisation> parametrisation,
                     std::unique_ptr<Objective> objective)
    : options_(options),
      parametrisation_(std::move(parametrisation)),
      objective_(std::move(objective)) {
  for (const auto& group : parametrisation_->parameters())
    velocity_.push_back(at::zeros_like(group.value));
  view_.offsets = parametrisation_->geometry().offsets();
  view_.labels = parametrisation_->geometry().labels();
}

double OuterLoop::step(int64_t iteration) {
  const at::NoGradGuard no_graph;
  objective_->begin(iteration);
  double loss = 0;
  for (int64_t s = 0; s < objective_->steps(); ++s) {
    view_.images = parametrisation_->decode();
    const Cotangents found = objective_->cotangents(view_);
    loss = found.loss;
    require_finite(std::isfinite(loss), fmt::format("the loss became {}", loss), iteration);
    const std::vector<at::Tensor> gradients = parametrisation_->pullback(found.images);
    const auto groups = parametrisation_->parameters();
    for (size_t i = 0; i < groups.size(); ++i) {
      velocity_[i].mul_(options_.image_momentum).add_(gradients[i]);
      at::Tensor value = groups[i].value;
      value.sub_(velocity_[i], options_.image_learning_rate * groups[i].rate_factor);
      require_finite(at::isfinite(value).all().item<bool>(), "the images became infinite",
                     iteration);
    }
    parametrisation_->project();
  }
  return loss;
}

void OuterLoop::save(const std::filesystem::path& path, int64_t iteration,
                     const std::string& data_hash) {
  TensorMap tensors;
  const auto groups = parametrisation_->parameters();
  for (size_t i = 0; i < groups.size(); ++i) {
    tensors["parameter." + groups[i].name] = groups[i].value;
    tensors["velocity." + groups[i].name] = velocity_[i];
  }
  for (const auto& [name, tensor] : objective_->state()) tensors["objective." + name] = tensor;
  save_tensors(
      path, tensors,
      {{"format", kFormat}, {"iteration", std::to_string(iteration)}, {"data_hash", data_hash}});
}

int64_t OuterLoop::load(const std::filesystem::path& path, const std::string& data_hash) {
  const std::string doing = "going on from '" + path.string() + "'";
  const TensorFile file = load_tensors(path);
  auto meta = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  if (meta("format") != kFormat)
    throw StateError(Report{doing, "its format is '" + meta("format") + "'", kFormat, kAnother});
  if (meta("data_hash") != data_hash)
    throw StateError(Report{doing,
                            "it was made from other data (their hash differs)",
                            {},
                            "give the same data, or choose another --out"});
  const std::string count = meta("iteration");
  int64_t iteration = -1;
  const auto [stop, problem] =
      std::from_chars(count.data(), count.data() + count.size(), iteration);
  if (problem != std::errc() || stop != count.data() + count.size() || iteration < 0)
    throw StateError(
        Report{doing, "its iteration is '" + count + "'", "a whole number from 0 on", kAnother});
  const auto groups = parametrisation_->parameters();
  for (size_t i = 0; i < groups.size(); ++i)
    for (auto& [prefix, target] :
         {std::pair<std::string, at::Tensor>{"parameter.", groups[i].value},
          {"velocity.", velocity_[i]}}) {
      const at::Tensor stored = tensor_of(file, prefix + groups[i].name, path.string());
      if (stored.sizes() != target.sizes())
        throw StateError(Report{doing,
                                fmt::format("tensor '{}{}' has the shape [{}]", prefix,
                                            groups[i].name, fmt::join(stored.sizes().vec(), ", ")),
                                fmt::format("[{}]", fmt::join(target.sizes().vec(), ", ")),
                                kAnother});
      if (!at::isfinite(stored).all().item<bool>())
        throw StateError(
            Report{doing,
                   "tensor '" + prefix + groups[i].name + "' holds a number that is not finite",
                   {},
                   kAnother});
      at::Tensor(target).copy_(stored);
    }
  TensorMap state;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with("objective.")) state[name.substr(10)] = tensor;
  objective_->restore(state);
  return iteration;
}

}  // namespace retort::methods
