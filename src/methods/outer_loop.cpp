#include "methods/outer_loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "io/checkpoint.h"
#include "retort/core/error.h"

namespace retort::methods {

using synthetic::Direction;
using synthetic::ParameterGroup;

namespace {

constexpr const char* kAnother = "choose another --out, or remove the checkpoint to begin anew";
constexpr const char* kFormat = "retort-checkpoint-1";

/// Called before anything of the iteration is written. `rates` are the options that may be too
/// high.
void require_finite(bool finite, const std::string& what, const std::string& rates,
                    int64_t iteration) {
  if (finite) return;
  throw StateError(
      ErrorMessage{fmt::format("distilling, iteration {}", iteration),
                   what,
                   {},
                   fmt::format("lower {} and choose another --out; the checkpoint of the "
                               "iterations before is kept",
                               rates)});
}

/// The options of all rates that a loss depends on, each once.
std::string rates_of(const std::vector<ParameterGroup>& groups,
                     const std::vector<ParameterGroup>& learned) {
  std::vector<std::string> all;
  for (const auto* some : {&groups, &learned})
    for (const ParameterGroup& one : *some)
      if (std::ranges::find(all, one.rate_option) == all.end()) all.push_back(one.rate_option);
  return fmt::format("{}", fmt::join(all, " or "));
}

/// Scales all gradients so that their joint norm is at most `most`.
void clip(std::vector<at::Tensor>& gradients, double most) {
  double sum = 0;
  for (const at::Tensor& one : gradients) sum += one.to(at::kDouble).square().sum().item<double>();
  if (!(std::sqrt(sum) > most)) return;
  for (at::Tensor& one : gradients) one = one * (most / std::sqrt(sum));
}

/// Experts or a teacher are part of what a run is.
void require_same(const std::string& began, const std::string& now, const std::string& doing) {
  if (began == now) return;
  const auto named = [](const std::string& identity) {
    return identity.empty() ? "nothing beside the data" : "the " + identity;
  };
  throw StateError(ErrorMessage{
      doing,
      fmt::format("it was begun with {} and is now given {}", named(began), named(now)),
      {},
      "give the one that it was begun with, or choose another --out"});
}

}  // namespace

OuterLoop::OuterLoop(const DistillOptions& options,
                     std::unique_ptr<synthetic::Parametrisation> parametrisation,
                     std::unique_ptr<Objective> objective, const ProcessGroup& processes)
    : options_(options),
      parametrisation_(std::move(parametrisation)),
      objective_(std::move(objective)),
      group_(processes),
      rows_(objective_->rows()) {
  groups_ = parametrisation_->parameters();
  learned_ = objective_->learned();
  for (const auto* groups : {&groups_, &learned_})
    for (const ParameterGroup& group : *groups) add_optimizer(group);
  if (objective_->average_decay() > 0)
    for (const ParameterGroup& group : groups_) average_.push_back(group.value.clone());
  set_.offsets = parametrisation_->layout().offsets();
  set_.labels = parametrisation_->layout().labels();
  // Where a row of the set is a row of what is stored, and nothing joins the rows.
  apart_ = rows_ && group_.size() > 1 && options_.parametrisation == "pixels" &&
           options_.clip_norm == 0 && learned_.empty();
}

void OuterLoop::collect() {
  if (!apart_) return;
  const at::NoGradGuard no_graph;
  for (const auto& [name, tensor] : tensors())
    if (tensor.dim() > 0 && tensor.size(0) == set_.labels.size(0))
      group_.gather_rows(tensor, *rows_);
}

std::vector<int64_t> OuterLoop::moved() const {
  if (!rows_) return {};
  const at::Tensor like = at::zeros({}, at::kLong);
  std::vector<at::Tensor> mine;
  for (const int64_t row : *rows_) mine.push_back(at::full({}, row, at::kLong));
  std::vector<int64_t> all;
  for (const at::Tensor& row : group_.gather(mine, like)) all.push_back(row.item<int64_t>());
  if (std::ssize(all) == set_.labels.size(0)) return {};
  std::sort(all.begin(), all.end());
  return all;
}

/// One of its own has the defaults of its kind.
void OuterLoop::add_optimizer(const ParameterGroup& group) {
  optim::OptimizerOptions how{.name = group.optimizer};
  if (group.optimizer.empty())
    how = {.name = options_.image_optimiser, .beta2 = options_.image_beta2};
  how.momentum = group.momentum.value_or(options_.image_momentum);
  optimizers_.push_back(optim::make_optimizer(how, group.value));
  schedules_.emplace_back(group.schedule.empty() ? options_.image_schedule : group.schedule);
}

double OuterLoop::step(int64_t iteration) {
  const at::NoGradGuard no_graph;
  set_.images = parametrisation_->decode();
  objective_->begin(iteration, set_);
  double loss = 0;
  for (int64_t s = 0; s < objective_->steps(); ++s) {
    if (s > 0) set_.images = parametrisation_->decode();
    const Cotangents found = objective_->evaluate(set_, s);
    if (rows_ && !apart_ && !found.skip) group_.gather_rows(found.images, *rows_);
    loss = found.loss;
    if (found.skip) continue;  // a loss that is not finite among them
    require_finite(std::isfinite(loss), fmt::format("the loss became {}", loss),
                   rates_of(groups_, learned_), iteration);
    std::vector<at::Tensor> gradients = parametrisation_->pullback(found.images);
    gradients.insert(gradients.end(), found.learned.begin(), found.learned.end());
    move(std::move(gradients), iteration);
  }
  return loss;
}

/// `gradients` of the groups, then of what is learned.
void OuterLoop::move(std::vector<at::Tensor> gradients, int64_t iteration) {
  if (options_.clip_norm > 0) clip(gradients, options_.clip_norm);
  size_t next = 0;
  for (const auto* groups : {&groups_, &learned_})
    for (const ParameterGroup& group : *groups) {
      const at::Tensor& found = gradients[next];
      const double factor = schedules_[next].factor(static_cast<double>(iteration),
                                                    static_cast<double>(options_.iterations));
      optimizers_[next]->step(
          group.value, group.direction == Direction::kAscent ? -found : found,
          group.learning_rate.value_or(options_.image_learning_rate) * factor * group.rate_factor);
      ++next;
    }
  require_all_finite(iteration);
  parametrisation_->project();
  const double decay = objective_->average_decay();
  for (size_t i = 0; i < average_.size(); ++i)
    average_[i].mul_(decay).add_(groups_[i].value, 1 - decay);
}

void OuterLoop::require_all_finite(int64_t iteration) const {
  for (const auto& group : groups_)
    require_finite(at::isfinite(group.value).all().item<bool>(), "the images became infinite",
                   group.rate_option, iteration);
  for (const ParameterGroup& one : learned_)
    require_finite(at::isfinite(one.value).all().item<bool>(), one.name + " became infinite",
                   one.rate_option, iteration);
}

Decoded OuterLoop::decoded() const {
  Decoded set{parametrisation_->decode(), {}};
  for (const auto& [name, tensor] : parametrisation_->compact())
    set.compact[name] = tensor.detach().to(at::kCPU).clone();
  return set;
}

std::optional<Decoded> OuterLoop::not_averaged() const {
  if (average_.empty()) return {};
  return decoded();
}

Decoded OuterLoop::result() const {
  std::vector<at::Tensor> now;
  for (size_t i = 0; i < average_.size(); ++i) {
    now.push_back(groups_[i].value.clone());
    at::Tensor(groups_[i].value).copy_(average_[i]);
  }
  Decoded result = decoded();
  for (size_t i = 0; i < now.size(); ++i) at::Tensor(groups_[i].value).copy_(now[i]);
  return result;
}

TensorMap OuterLoop::tensors() const {
  TensorMap all;
  for (const auto& [name, tensor] : parametrisation_->compact()) all["parameter." + name] = tensor;
  for (size_t i = 0; i < average_.size(); ++i) all["average." + groups_[i].name] = average_[i];
  for (const ParameterGroup& one : learned_) all["learned." + one.name] = one.value;
  for (size_t i = 0; i < optimizers_.size(); ++i) {
    const bool group = i < groups_.size();
    const std::string name = group ? groups_[i].name : learned_[i - groups_.size()].name;
    for (const auto& [kind, tensor] : optimizers_[i]->state())
      all[(group ? "" : "learned_") + kind + "." + name] = tensor;
  }
  return all;
}

void OuterLoop::save(const std::filesystem::path& path, int64_t iteration,
                     const std::string& data_hash) {
  TensorMap tensors = this->tensors();
  for (const auto& [name, tensor] : objective_->state()) tensors["objective." + name] = tensor;
  save_checkpoint(path, tensors,
                  {{"format", kFormat},
                   {"iteration", std::to_string(iteration)},
                   {"data_hash", data_hash},
                   {"identity", objective_->identity()}});
}

OuterLoop::Resumed OuterLoop::load(const std::filesystem::path& path,
                                   const std::string& data_hash) {
  const Checkpoint checkpoint = load_checkpoint(path);
  const std::string doing = "going on from '" + checkpoint.path + "'";
  const TensorFile& file = checkpoint.file;
  auto meta = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  if (meta("format") != kFormat)
    throw StateError(
        ErrorMessage{doing, "its format is '" + meta("format") + "'", kFormat, kAnother});
  if (meta("data_hash") != data_hash)
    throw StateError(ErrorMessage{doing,
                                  "it was made from other data (their hash differs)",
                                  {},
                                  "give the same data, or choose another --out"});
  require_same(meta("identity"), objective_->identity(), doing);
  const std::string count = meta("iteration");
  int64_t iteration = -1;
  const auto [stop, problem] =
      std::from_chars(count.data(), count.data() + count.size(), iteration);
  if (problem != std::errc() || stop != count.data() + count.size() || iteration < 0 ||
      iteration > options_.iterations)
    throw StateError(ErrorMessage{doing, "its iteration is '" + count + "'",
                                  fmt::format("a whole number from 0 to {}", options_.iterations),
                                  kAnother});
  for (auto& [name, target] : tensors()) {
    const at::Tensor stored = tensor_of(file, name, checkpoint.path);
    if (stored.sizes() != target.sizes())
      throw StateError(ErrorMessage{doing,
                                    fmt::format("tensor '{}' has the shape [{}]", name,
                                                fmt::join(stored.sizes().vec(), ", ")),
                                    fmt::format("[{}]", fmt::join(target.sizes().vec(), ", ")),
                                    kAnother});
    if (!at::isfinite(stored).all().item<bool>())
      throw StateError(ErrorMessage{
          doing, "tensor '" + name + "' holds a number that is not finite", {}, kAnother});
    at::Tensor(target).copy_(stored);
  }
  TensorMap state;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with("objective.")) state[name.substr(10)] = tensor;
  objective_->restore(state);
  return {iteration, checkpoint.note};
}

}  // namespace retort::methods
