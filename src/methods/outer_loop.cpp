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

/// v <- momentum v + g; p <- p - rate v.
void descend(at::Tensor value, at::Tensor& velocity, const at::Tensor& gradient, double momentum,
             double rate) {
  velocity.mul_(momentum).add_(gradient);
  value.sub_(velocity, rate);
}

}  // namespace

OuterLoop::OuterLoop(const DistillOptions& options,
                     std::unique_ptr<synthetic::Parametrisation> parametrisation,
                     std::unique_ptr<Objective> objective)
    : options_(options),
      parametrisation_(std::move(parametrisation)),
      objective_(std::move(objective)) {
  for (const auto& group : parametrisation_->parameters()) {
    velocity_.push_back(at::zeros_like(group.value));
    if (objective_->average_decay() > 0) average_.push_back(group.value.clone());
  }
  learned_ = objective_->learned();
  for (const Learned& one : learned_) learned_velocity_.push_back(at::zeros_like(one.value));
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
    if (found.skip) continue;
    const std::vector<at::Tensor> gradients = parametrisation_->pullback(found.images);
    const auto groups = parametrisation_->parameters();
    for (size_t i = 0; i < groups.size(); ++i)
      descend(groups[i].value, velocity_[i], gradients[i], options_.image_momentum,
              options_.image_learning_rate * groups[i].rate_factor);
    for (size_t i = 0; i < learned_.size(); ++i)
      descend(learned_[i].value, learned_velocity_[i], found.learned[i], learned_[i].momentum,
              learned_[i].learning_rate);
    for (const auto& group : groups)
      require_finite(at::isfinite(group.value).all().item<bool>(), "the images became infinite",
                     iteration);
    for (const Learned& one : learned_)
      require_finite(at::isfinite(one.value).all().item<bool>(), one.name + " became infinite",
                     iteration);
    parametrisation_->project();
    const double decay = objective_->average_decay();
    for (size_t i = 0; i < average_.size(); ++i)
      average_[i].mul_(decay).add_(groups[i].value, 1 - decay);
  }
  return loss;
}

at::Tensor OuterLoop::result() const {
  if (average_.empty()) return parametrisation_->decode();
  const auto groups = parametrisation_->parameters();
  std::vector<at::Tensor> now;
  for (size_t i = 0; i < groups.size(); ++i) {
    now.push_back(groups[i].value.clone());
    at::Tensor(groups[i].value).copy_(average_[i]);
  }
  at::Tensor images = parametrisation_->decode().clone();
  for (size_t i = 0; i < groups.size(); ++i) at::Tensor(groups[i].value).copy_(now[i]);
  return images;
}

TensorMap OuterLoop::tensors() const {
  TensorMap all;
  const auto groups = parametrisation_->parameters();
  for (size_t i = 0; i < groups.size(); ++i) {
    all["parameter." + groups[i].name] = groups[i].value;
    all["velocity." + groups[i].name] = velocity_[i];
    if (!average_.empty()) all["average." + groups[i].name] = average_[i];
  }
  for (size_t i = 0; i < learned_.size(); ++i) {
    all["learned." + learned_[i].name] = learned_[i].value;
    all["learned_velocity." + learned_[i].name] = learned_velocity_[i];
  }
  return all;
}

void OuterLoop::save(const std::filesystem::path& path, int64_t iteration,
                     const std::string& data_hash) {
  TensorMap tensors = this->tensors();
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
  for (auto& [name, target] : tensors()) {
    const at::Tensor stored = tensor_of(file, name, path.string());
    if (stored.sizes() != target.sizes())
      throw StateError(Report{doing,
                              fmt::format("tensor '{}' has the shape [{}]", name,
                                          fmt::join(stored.sizes().vec(), ", ")),
                              fmt::format("[{}]", fmt::join(target.sizes().vec(), ", ")),
                              kAnother});
    if (!at::isfinite(stored).all().item<bool>())
      throw StateError(
          Report{doing, "tensor '" + name + "' holds a number that is not finite", {}, kAnother});
    at::Tensor(target).copy_(stored);
  }
  TensorMap state;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with("objective.")) state[name.substr(10)] = tensor;
  objective_->restore(state);
  return iteration;
}

}  // namespace retort::methods
