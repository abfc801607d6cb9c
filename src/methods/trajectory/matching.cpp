// Matching training trajectories (Cazenavette et al., CVPR 2022, algorithm 1). The gradient is
// exact: an adjoint recursion over stored parameters in place of one graph over all steps.
#include "methods/trajectory/matching.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/sizes.h"
#include "methods/deviations.h"
#include "methods/rate_options.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

constexpr double kSmallestRate = 1e-6;  // a rate that turned negative would train uphill

const std::string& given(const std::string& experts) {
  if (!experts.empty()) return experts;
  throw ConfigError(ErrorMessage{"preparing to match trajectories", "no experts are given",
                                 "--experts and their folder", "`retort experts` makes one"});
}

void require_stateless(const nets::Network& network) {
  if (network.state().size == 0) return;
  throw ConfigError(
      ErrorMessage{"preparing to match trajectories",
                   "network '" + network.name() + "' has running statistics (BatchNorm)",
                   "a network without, such as convnet", "choose another --network"});
}

}  // namespace

void TrajectoryOptions::declare(OptionSet& set) {
  set.add("experts", experts, "folder of expert trajectories; `retort experts` makes one", {},
          Role::kExecution);
  set.add("inner_steps", inner_steps, "steps on the synthetic set in one iteration (N)",
          {.min = 1, .max = 100000});
  set.add("expert_epochs", expert_epochs, "epochs of the expert that they are to reproduce (M)",
          {.min = 1});
  set.add("max_start_epoch", max_start_epoch,
          "iterations start at an epoch of the expert below this one", {.min = 1});
  set.add("synthetic_batch", synthetic_batch,
          "synthetic images in one inner step; 0: the whole set", {.min = 0});
  set.add("trajectories_per_step", trajectories_per_step,
          "trajectories of experts whose mean gradient moves the images; 1: as published. Several "
          "can be shared among processes",
          {.min = 1, .max = 100000});
  set.add("student_learning_rate", student_learning_rate,
          "learning rate of the inner steps at the beginning; it is learned",
          {.min = kSmallestRate});
  set.add("student_rate_learning_rate", student_rate_learning_rate,
          "learning rate of the student's learning rate; 0: it is not learned", {.min = 0});
  set.add("checkpoint_steps", checkpoint_steps,
          "keep 2 sqrt(N) parameter vectors in place of N, for a third more time", {},
          Role::kExecution);
}

TrajectoryMatching::TrajectoryMatching(const Context& context, const TrajectoryOptions& options)
    : context_(context),
      options_(options),
      experts_((require_stateless(context.network), given(options.experts)), context.data,
               context.network),
      strategy_(augment::parse_strategy(context.augmentation)),
      rate_(at::full({1}, options.student_learning_rate, at::kDouble)) {
  const int64_t needed = options_.max_start_epoch - 1 + options_.expert_epochs;
  if (needed > experts_.epochs())
    throw ConfigError(ErrorMessage{
        "preparing to match trajectories",
        fmt::format("the experts have {} epochs; --max-start-epoch {} and --expert-epochs "
                    "{} need {}",
                    experts_.epochs(), options_.max_start_epoch, options_.expert_epochs, needed),
        {},
        "lower one of the two, or train the experts for longer"});
}

std::pair<int64_t, int64_t> TrajectoryMatching::start_epochs(int64_t) const {
  return {0, options_.max_start_epoch};
}

at::Tensor TrajectoryMatching::targets(const SyntheticSet& set) {
  return set.labels.to(context_.device);
}

// Experts in a fresh random order each time all have been used, as the reference visits them.
void TrajectoryMatching::begin(int64_t iteration, const SyntheticSet&) {
  rate_.clamp_min_(kSmallestRate);
  iteration_ = iteration;
  drawn_ = -1;
}

void TrajectoryMatching::prepare(uint64_t index) {
  if (drawn_ == static_cast<int64_t>(index)) return;
  drawn_ = static_cast<int64_t>(index);
  const auto count = static_cast<uint64_t>(experts_.count());
  const int64_t expert = RandomStream(context_.seed, "trajectory.expert", index / count)
                             .permutation(experts_.count())[index % count];
  const auto [first, last] = start_epochs(iteration_);
  const int64_t epoch =
      first + RandomStream(context_.seed, "trajectory.start", index).uniform_int(last - first);
  start_ = experts_.snapshot(expert, epoch).to(context_.device);
  end_ = experts_.snapshot(expert, epoch + options_.expert_epochs).to(context_.device);
  draw_steps(index);
}

void TrajectoryMatching::draw_steps(uint64_t index) {
  steps_.clear();
  const bool whole = options_.synthetic_batch == 0 || options_.synthetic_batch >= images();
  std::vector<int64_t> order;  // consumed from the end: the short remainder comes first
  for (int64_t k = 0; k < options_.inner_steps; ++k) {
    const auto step_index = static_cast<uint64_t>(k);
    train::UnrollStep step;
    int64_t rows = images();
    if (!whole) {
      if (order.empty())
        order = RandomStream(context_.seed, "trajectory.order", index, step_index)
                    .permutation(images());
      const auto left = std::ssize(order);
      rows = left % options_.synthetic_batch == 0 ? options_.synthetic_batch
                                                  : left % options_.synthetic_batch;
      step.rows = at::tensor(
          at::ArrayRef<int64_t>(order).slice(to_size(left - rows), to_size(rows)), at::kLong);
      order.resize(to_size(left - rows));
    }
    RandomStream draw(context_.seed, "trajectory.augment", index, step_index);
    if (!strategy_.operations.empty())
      step.augment =
          augment::draw_each(strategy_, rows, context_.data.height, context_.data.width, draw);
    steps_.push_back(std::move(step));
  }
}

Cotangents TrajectoryMatching::evaluate(const SyntheticSet& set, int64_t) {
  const int64_t all = options_.trajectories_per_step;
  std::vector<Pull> pulls;
  for (const int64_t i : Share().within(group()).items(all)) {
    prepare(static_cast<uint64_t>(iteration_ * all + i));
    pulls.push_back(follow(set));
  }
  return mean_of(pulls, set);
}

/// One trajectory is followed by every process, which is sooner done than sending what it says.
const ProcessGroup& TrajectoryMatching::group() const {
  return options_.trajectories_per_step == 1 ? ProcessGroup::alone() : *context_.group;
}

Cotangents TrajectoryMatching::mean_of(const std::vector<Pull>& mine, const SyntheticSet& set) {
  std::vector<double> losses;
  std::vector<at::Tensor> images;
  for (const Pull& pull : mine) {
    losses.push_back(pull.loss);
    if (pull.images.defined()) images.push_back(pull.images);
  }
  losses = group().gather(losses);
  Cotangents mean;
  // Those that say nothing are no part of the mean, where there are others.
  std::vector<double> counted;
  for (const double loss : losses)
    if (accepts(loss)) counted.push_back(loss);
  mean.skip = counted.empty();
  if (mean.skip) counted = losses;
  const auto count = static_cast<double>(counted.size());
  mean.loss = std::accumulate(counted.begin(), counted.end(), 0.0) / count;
  if (mean.skip || !std::isfinite(mean.loss)) return mean;
  mean.images = group().all_reduce(images, set.images);
  const std::vector<synthetic::ParameterGroup> groups = learned();
  for (size_t i = 0; i < groups.size(); ++i) {
    std::vector<at::Tensor> gradients;
    for (const Pull& pull : mine)
      if (pull.images.defined()) gradients.push_back(pull.learned[i]);
    mean.learned.push_back(group().all_reduce(gradients, groups[i].value));
  }
  if (count == 1) return mean;
  mean.images = mean.images / count;
  for (at::Tensor& gradient : mean.learned) gradient = gradient / count;
  return mean;
}

// Loss: |theta_N - theta*|^2 / |theta_0 - theta*|^2, sums in double.
TrajectoryMatching::Pull TrajectoryMatching::follow(const SyntheticSet& set) {
  const train::UnrollSet inner{set.images, targets(set), rate_.item<double>()};
  train::UnrollOptions how;
  how.hessian = with_hessian();
  const int64_t kept = options_.inner_steps * context_.network.parameters().size * int64_t{4};
  how.checkpoints = options_.checkpoint_steps || kept > context_.network.spare_bytes();
  train::Unroll unroll(context_.network, inner, steps_, how);
  const at::Tensor gap = unroll.forward(start_) - end_;
  const double scale = (start_ - end_).to(at::kDouble).square().sum().item<double>();
  Pull result;
  result.loss = gap.to(at::kDouble).square().sum().item<double>() / scale;
  if (!accepts(result.loss) || !std::isfinite(result.loss)) return result;
  const train::UnrollGradient vjp = unroll.backward(gap * (2 / scale));
  result.images = vjp.images;
  result.learned = {at::full({1}, vjp.learning_rate, at::kDouble)};
  for (const at::Tensor& gradient : pullback_of_targets(vjp.targets))
    result.learned.push_back(gradient);
  return result;
}

std::vector<synthetic::ParameterGroup> TrajectoryMatching::learned() {
  return {{.name = "student_learning_rate",
           .value = rate_,
           .learning_rate = options_.student_rate_learning_rate,
           .momentum = 0.5,
           .rate_option = kStudentRateOptions}};
}

void TrajectoryMatching::complete(synthetic::Bundle& bundle) const {
  bundle.student_learning_rate = std::max(rate_.item<double>(), kSmallestRate);
}

std::vector<std::string> trajectory_deviations(std::vector<std::string> own) {
  std::vector<std::string> all{
      "The gradient is exact by an adjoint recursion over stored parameters; the references keep "
      "the graph of all steps, or approximate.",
      "The student's rate is kept at 1e-6 or above; the references let it turn negative.",
      "Minibatches and augmentations come from named streams; the references seed from the clock.",
      "The last set is the result; published figures are the best over evaluations on the test "
      "set.",
      "The augmentation auto leaves flips out for digits; the references flip every data set.",
      kAllOfAnAugmentation};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

}  // namespace retort::methods
