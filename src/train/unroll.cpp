// Forward: plain steps. Backward, with p and q the cotangents of theta and velocity after a step:
// u = q - rate p meets the gradient; X gets J^T u, p becomes p + H u + decay u, q becomes
// momentum u. The rate's cotangent is sum <u, g + decay theta> / rate, which never subtracts
// parameters from each other (a window's adds <q, velocity> of its beginning to the sum); without
// momentum the sweep runs along p itself, so rate 0 is no special case.
#include "retort/train/unroll.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "augment/siamese.h"
#include "core/limits.h"
#include "core/sizes.h"

namespace retort::train {
namespace {

std::vector<UnrollStep> rows_on(at::Device device, std::vector<UnrollStep> steps) {
  for (UnrollStep& step : steps)
    if (step.rows.defined()) step.rows = step.rows.to(device);
  return steps;
}

/// Adds values to the rows of `into`, to all of them where rows are undefined. On a GPU it is a
/// product with the matrix that places them: libtorch would sort them to add in one order.
void add_rows(const at::Tensor& into, const at::Tensor& rows, const at::Tensor& values) {
  if (!rows.defined()) {
    into.add_(values);
  } else if (into.is_cpu()) {
    into.index_add_(0, rows, values);
  } else {
    const at::Tensor places = at::arange(into.size(0), rows.options()).unsqueeze(1).eq(rows);
    into.add_(at::mm(places.to(values.scalar_type()), values.flatten(1)).view(into.sizes()));
  }
}

/// Bytes for all kept passes, and for one.
std::pair<int64_t, int64_t> room_for_passes(const nets::Network& network,
                                            const UnrollOptions& options, int64_t points) {
  if (options.pass_bytes >= 0) return {options.pass_bytes, options.pass_bytes};
  const int64_t spare = network.spare_bytes();
  if (spare == std::numeric_limits<int64_t>::max()) return {kKeptPasses, kLargestKeptPass};
  const int64_t kept = points * network.parameters().size * int64_t{4};
  return {std::max<int64_t>(spare - kept, 0), spare};
}

}  // namespace

Unroll::Unroll(const nets::Network& network, const UnrollSet& set, std::vector<UnrollStep> steps,
               const UnrollOptions& options, at::Tensor state)
    : network_(network),
      set_(set),
      steps_(rows_on(set.images.device(), std::move(steps))),
      options_(options),
      state_(std::move(state)) {
  TORCH_CHECK(!steps_.empty(), "an unrolled training has at least one step");
  TORCH_CHECK(options_.momentum == 0 || (set_.learning_rate != 0 && set_.step_rates.empty()),
              "the gradient of a training with momentum needs one rate other than 0");
  TORCH_CHECK(set_.step_rates.empty() || set_.step_rates.size() == steps_.size(),
              "there are not as many rates as steps");
  const auto window = to_size(options_.window);
  if (window > 0 && window < steps_.size()) first_ = steps_.size() - window;
  if (options_.checkpoints)
    stride_ =
        to_size(std::lround(std::ceil(std::sqrt(static_cast<double>(steps_.size() - first_)))));
  const size_t points = stride_ == 1 ? steps_.size() - first_ : 2 * stride_;
  std::tie(pass_bytes_, largest_) = room_for_passes(network_, options_, to_int64(points));
}

double Unroll::rate(size_t step) const {
  return as_float32(set_.step_rates.empty() ? set_.learning_rate : set_.step_rates[step]);
}

Unroll::Shown Unroll::shown(size_t index) const {
  const UnrollStep& step = steps_[index];
  at::Tensor images = set_.images.detach(), targets = set_.targets;
  if (step.rows.defined()) {
    images = images.index_select(0, step.rows);
    targets = targets.index_select(0, step.rows.to(targets.device()));
  }
  return {step.augment.defined() ? augment::apply(images, step.augment) : images, {targets}};
}

Unroll::Shown Unroll::take_shown(size_t step) {
  if (!shown_[step].kept) return shown(step);
  pass_bytes_ += shown_[step].kept->bytes();
  return std::exchange(shown_[step], {});
}

nets::Inputs Unroll::inputs(const at::Tensor& theta, const at::Tensor& images) const {
  return {theta, state_, images, {}, options_.norm};
}

Unroll::KeptSteps Unroll::kept_steps() const {
  KeptSteps all;
  for (const Shown& one : shown_)
    if (one.kept) ++all.count, all.bytes += one.kept->bytes();
  return all;
}

// A step that will be run once more (checkpoints) is kept then, so that memory is for one stretch.
Unroll::Point Unroll::advance(const Point& from, size_t step, at::Tensor* loss) {
  Shown now = shown(step);
  const bool keep = step >= first_ && (stride_ == 1 || !loss);
  const nets::Gradient g = network_.gradient(inputs(from.theta, now.images), now.targets, {},
                                             keep ? std::min(pass_bytes_, largest_) : 0);
  if (loss) *loss = g.loss;
  if (g.kept) {
    pass_bytes_ -= g.kept->bytes();
    now.kept = g.kept;
    shown_[step] = std::move(now);
  }
  at::Tensor v = g.theta;
  if (options_.weight_decay != 0) v = v.add(from.theta, options_.weight_decay);
  if (options_.momentum == 0) return {from.theta.sub(v, rate(step)), at::Tensor()};
  if (from.velocity.defined()) v = v.add(from.velocity, options_.momentum);
  return {from.theta.sub(v, rate(step)), v};
}

at::Tensor Unroll::forward(const at::Tensor& theta) {
  const at::NoGradGuard no_graph;
  kept_.clear();
  losses_.assign(steps_.size(), at::Tensor());
  shown_.assign(steps_.size(), {});
  Point point{theta, at::Tensor()};
  for (size_t k = 0; k < steps_.size(); ++k) {
    if (k == first_) first_velocity_ = point.velocity;
    if (k >= first_ && (k - first_) % stride_ == 0)
      kept_.push_back({point.theta, stride_ > 1 ? point.velocity : at::Tensor()});
    point = advance(point, k, &losses_[k]);
  }
  return point.theta;
}

// theta before step k; where not every point is kept, its stretch is run once more.
const at::Tensor& Unroll::theta_of(size_t k) {
  if (stride_ == 1) return kept_[k - first_].theta;
  const size_t stretch = (k - first_) / stride_, begin = first_ + stretch * stride_;
  if (segment_.empty() || segment_begin_ != begin) {
    Point point = kept_[stretch];
    segment_ = {point.theta};
    segment_begin_ = begin;
    for (size_t i = begin; i < k; ++i) {
      point = advance(point, i, nullptr);
      segment_.push_back(point.theta);
    }
  }
  return segment_[k - begin];
}

void Unroll::scatter(const UnrollStep& step, const at::Tensor& cotangent,
                     UnrollGradient& into) const {
  const at::Tensor images =
      step.augment.defined() ? augment::pullback(step.augment, cotangent) : cotangent;
  add_rows(into.images, step.rows, images);
}

void Unroll::scatter_targets(const UnrollStep& step, const at::Tensor& cotangent,
                             UnrollGradient& into) const {
  add_rows(into.targets, step.rows, cotangent);
}

UnrollGradient Unroll::backward(const at::Tensor& cotangent) {
  const at::NoGradGuard no_graph;
  TORCH_CHECK(!kept_.empty(), "forward() comes before backward()");
  const bool soft = set_.targets.is_floating_point();
  const double momentum = options_.momentum, decay = options_.weight_decay;
  UnrollGradient answer;
  answer.images = at::zeros_like(set_.images);
  if (soft) answer.targets = at::zeros_like(set_.targets);
  at::Tensor p = cotangent.clone(), q;
  std::vector<at::Tensor> slopes(steps_.size());  // float64; read once, at the end
  for (size_t k = steps_.size(); k-- > first_;) {
    const UnrollStep& step = steps_[k];
    const at::Tensor theta = theta_of(k);
    // Along p: u is -rate p, and its products are -rate times those along p.
    const at::Tensor along = momentum == 0 ? p : (q.defined() ? q - rate(k) * p : -rate(k) * p);
    const double factor = momentum == 0 ? -rate(k) : 1.0;
    const Shown now = take_shown(k);
    const nets::GradientJvp d = network_.gradient_jvp(
        inputs(theta, now.images), now.targets, along,
        {.theta = options_.hessian, .images = true, .targets = soft}, now.kept.get());
    slopes[k] = d.loss.to(at::kDouble);
    if (decay != 0) slopes[k] = slopes[k].add(at::dot(theta, along).to(at::kDouble), decay);
    scatter(step, d.images * factor, answer);
    if (soft) scatter_targets(step, d.targets * factor, answer);
    if (options_.hessian) p = p.add(d.theta, factor);
    if (decay != 0) p = p.add(along, factor * decay);
    if (momentum != 0) q = momentum * along;
    if (stride_ == 1) kept_[k - first_] = {};
  }
  double sum = 0;
  if (momentum != 0 && first_velocity_.defined())
    sum = at::dot(q, first_velocity_).to(at::kDouble).item<double>();
  for (size_t k = first_; k < slopes.size(); ++k) sum += slopes[k].item<double>();
  answer.learning_rate = momentum == 0 ? -sum : sum / set_.learning_rate;
  if (!set_.step_rates.empty())
    for (const at::Tensor& slope : slopes)
      answer.step_rates.push_back(slope.defined() ? -slope.item<double>() : 0);
  answer.theta = p;
  kept_.clear();
  return answer;
}

}  // namespace retort::train
