// The unrolled training against the full graph of autograd, in double.
#include "retort/train/unroll.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "augment/siamese.h"
#include "nets/toy.h"

namespace retort::train {
namespace {

using tests::difference;
using tests::normals;
using tests::Toy;

constexpr int64_t kImages = 6, kBatch = 4;

/// convnet-w3-d2-swish written out once more, with a graph to everything.
at::Tensor logits_of(const nets::Network& net, const at::Tensor& theta, at::Tensor x) {
  const auto part = [&](const std::string& name) {
    const nets::Slot& slot = net.parameters().find(name);
    return theta.narrow(0, slot.offset, slot.count).view(slot.shape);
  };
  for (const std::string block : {"block1", "block2"}) {
    x = at::conv2d(x, part(block + ".conv.weight"), part(block + ".conv.bias"),
                   at::IntArrayRef{1, 1}, at::IntArrayRef{1, 1});
    x = at::group_norm(x, 3, part(block + ".norm.weight"), part(block + ".norm.bias"));
    x = at::avg_pool2d(at::silu(x), 2);
  }
  return at::linear(x.flatten(1), part("classifier.weight"), part("classifier.bias"));
}

struct Case {
  int64_t steps;
  double momentum, decay;
  bool augmented, soft, checkpoints;
  int64_t window = 0;
};

struct Problem {
  Toy toy{"convnet-w3-d2-swish", kImages};
  Case with;
  UnrollSet set;
  std::vector<UnrollStep> steps;
  at::Tensor cotangent;

  explicit Problem(const Case& c) : with(c) {
    set = {toy.inputs.images, c.soft ? toy.soft.values : toy.hard.values, 0.05};
    cotangent = normals({toy.net->parameters().size}, 50);
    const auto strategy = augment::parse_strategy("color_crop_cutout_flip_scale_rotate");
    RandomStream order(3, "test.order"), draw(3, "test.augment");
    for (int64_t k = 0; k < c.steps; ++k) {
      UnrollStep step;
      if (c.steps > 1) step.rows = at::tensor(order.sample(kImages, kBatch), at::kLong);
      const int64_t rows = c.steps > 1 ? kBatch : kImages;
      if (c.augmented) step.augment = augment::draw_each(strategy, rows, 8, 8, draw);
      steps.push_back(step);
    }
  }

  UnrollOptions options() const {
    UnrollOptions o;
    o.momentum = with.momentum;
    o.weight_decay = with.decay;
    o.checkpoints = with.checkpoints;
    o.window = with.window;
    return o;
  }

  /// The same by one graph over all steps.
  UnrollGradient by_graph(at::Tensor& end) const {
    const at::AutoGradMode graph(true);
    using torch::autograd::grad;
    const at::Tensor images = set.images.clone().requires_grad_(true);
    const at::Tensor rate = at::full({}, set.learning_rate, at::kDouble).requires_grad_(true);
    const at::Tensor start = toy.inputs.theta.clone().requires_grad_(true);
    at::Tensor targets = set.targets;
    if (with.soft) targets = targets.clone().requires_grad_(true);
    at::Tensor theta = start.clone(), velocity, before = start;
    const size_t first = with.window > 0 ? steps.size() - static_cast<size_t>(with.window) : 0;
    for (size_t k = 0; k < steps.size(); ++k) {
      const UnrollStep& step = steps[k];
      if (k == first && k > 0) {
        before = theta = theta.detach().requires_grad_(true);
        if (velocity.defined()) velocity = velocity.detach();
      }
      at::Tensor x = step.rows.defined() ? images.index_select(0, step.rows) : images;
      if (step.augment.defined()) x = augment::apply(x, step.augment);
      const at::Tensor y = step.rows.defined() ? targets.index_select(0, step.rows) : targets;
      const at::Tensor loss = losses::mean_loss(logits_of(*toy.net, theta, x), {y});
      at::Tensor v = grad({loss}, {theta}, {}, {}, true)[0] + with.decay * theta;
      if (velocity.defined()) v = v + with.momentum * velocity;
      velocity = v;
      theta = theta - rate * v;
    }
    end = theta.detach();
    std::vector<at::Tensor> inputs{images, rate, before};
    if (with.soft) inputs.push_back(targets);
    const auto found = grad({(theta * cotangent).sum()}, inputs);
    return {found[0], with.soft ? found[3] : at::Tensor(), found[1].item<double>(), found[2]};
  }
};

class Exact : public testing::TestWithParam<Case> {};

TEST_P(Exact, EqualsTheFullGraph) {
  const Problem problem(GetParam());
  at::Tensor end;
  const UnrollGradient wanted = problem.by_graph(end);
  Unroll unroll(*problem.toy.net, problem.set, problem.steps, problem.options());
  EXPECT_LT(difference(unroll.forward(problem.toy.inputs.theta), end), 1e-12);
  const UnrollGradient found = unroll.backward(problem.cotangent);
  EXPECT_LT(difference(found.images, wanted.images), 1e-12);
  EXPECT_LT(difference(found.theta, wanted.theta), 1e-12);
  EXPECT_NEAR(found.learning_rate / wanted.learning_rate, 1, 1e-10);
  if (GetParam().soft) {
    EXPECT_LT(difference(found.targets, wanted.targets), 1e-10);
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int64_t steps : {1, 9, 30})
    for (const double momentum : {0.0, 0.9})
      for (const double decay : {0.0, 5e-4})
        all.push_back({steps, momentum, decay, true, steps == 9, decay > 0 && steps == 30});
  all.push_back({9, 0.9, 5e-4, false, true, true});
  all.push_back({9, 0.9, 5e-4, true, true, false, 4});
  all.push_back({9, 0.9, 0, false, false, true, 7});
  all.push_back({9, 0, 0, false, false, false, 3});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Unroll, Exact, testing::ValuesIn(cases()));

// Equal rates that are each its own: their gradients sum to that of the common one, and moving one
// is moving its step alone.
TEST(Unroll, GivesEveryStepItsOwnRate) {
  Problem problem({4, 0, 5e-4, false, false, false});
  const auto at_rates = [&](const std::vector<double>& rates) {
    UnrollSet set = problem.set;
    set.step_rates = rates;
    Unroll unroll(*problem.toy.net, set, problem.steps, problem.options());
    const double value =
        unroll.forward(problem.toy.inputs.theta).dot(problem.cotangent).item<double>();
    return std::pair{value, unroll.backward(problem.cotangent).step_rates};
  };
  std::vector<double> rates(4, problem.set.learning_rate);
  const std::vector<double> found = at_rates(rates).second;
  at::Tensor end;
  EXPECT_NEAR((found[0] + found[1] + found[2] + found[3]) / problem.by_graph(end).learning_rate, 1,
              1e-10);
  for (size_t k = 0; k < 4; ++k) {
    std::vector<double> more = rates, less = rates;
    more[k] += 1e-5;
    less[k] -= 1e-5;
    EXPECT_NEAR((at_rates(more).first - at_rates(less).first) / 2e-5 / found[k], 1, 1e-6) << k;
  }
}

TEST(Unroll, GivesTheRatesGradientAtRateZero) {
  Problem problem({3, 0, 0, false, false, false});
  problem.set.learning_rate = 0;
  at::Tensor end;
  const UnrollGradient wanted = problem.by_graph(end);
  Unroll unroll(*problem.toy.net, problem.set, problem.steps);
  EXPECT_TRUE(unroll.forward(problem.toy.inputs.theta).equal(problem.toy.inputs.theta));
  const UnrollGradient found = unroll.backward(problem.cotangent);
  EXPECT_NEAR(found.learning_rate / wanted.learning_rate, 1, 1e-10);
  EXPECT_EQ(found.images.abs().max().item<double>(), 0);
}

// Without the Hessian every step's gradient meets the cotangent of theta_N itself (spec 4.2); with
// one step nothing is left out.
TEST(Unroll, WithoutHessianIsTeslasClosedForm) {
  const Problem problem({4, 0, 0, false, false, false});
  UnrollOptions options;
  options.hessian = false;
  Unroll unroll(*problem.toy.net, problem.set, problem.steps, options);
  unroll.forward(problem.toy.inputs.theta);
  const UnrollGradient found = unroll.backward(problem.cotangent);
  at::Tensor theta = problem.toy.inputs.theta, images = at::zeros_like(problem.set.images);
  double rate = 0;
  for (const UnrollStep& step : problem.steps) {
    nets::Inputs inputs = problem.toy.inputs;
    inputs.theta = theta;
    inputs.images = problem.set.images.index_select(0, step.rows);
    const losses::Targets y{problem.set.targets.index_select(0, step.rows)};
    const auto d = problem.toy.net->gradient_jvp(inputs, y, problem.cotangent, {.images = true});
    images.index_add_(0, step.rows, -problem.set.learning_rate * d.images);
    rate -= d.loss.item<double>();
    theta = theta - problem.set.learning_rate * problem.toy.net->gradient(inputs, y).theta;
  }
  EXPECT_LT(difference(found.images, images), 1e-12);
  EXPECT_NEAR(found.learning_rate / rate, 1, 1e-12);
  EXPECT_TRUE(found.theta.equal(problem.cotangent));
}

}  // namespace
}  // namespace retort::train
