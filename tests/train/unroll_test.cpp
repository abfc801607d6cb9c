// The unrolled training against the full graph of autograd, in double.
#include "retort/train/unroll.h"

#include <ATen/Parallel.h>
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

/// Trainings on the engine that keeps passes, in single precision.
class KeptPasses : public testing::Test {
 protected:
  void SetUp() override {
    for (const nets::EngineEntry& entry : nets::engine_table())
      if (entry.name == "blocked" && !entry.present) GTEST_SKIP() << entry.summary;
    set_ = {toy_.inputs.images, toy_.soft.values, 0.05};
    const auto strategy = augment::parse_strategy("color_crop_cutout_flip_scale_rotate");
    RandomStream order(3, "test.order"), draw(3, "test.augment");
    for (int64_t k = 0; k < 7; ++k)
      steps_.push_back({at::tensor(order.sample(kImages, kBatch), at::kLong),
                        augment::draw_each(strategy, kBatch, 16, 16, draw)});
  }
  /// The way back through the first `count` steps; what was kept after the way there.
  UnrollGradient through(size_t count, const UnrollOptions& options, Unroll::KeptSteps& kept) {
    Unroll unroll(*toy_.net, set_, {steps_.begin(), steps_.begin() + static_cast<long>(count)},
                  options);
    const at::Tensor end = unroll.forward(toy_.inputs.theta);
    kept = unroll.kept_steps();
    const UnrollGradient found = unroll.backward(end);
    EXPECT_EQ(unroll.kept_steps().count, 0);
    return found;
  }
  const Toy toy_{"convnet-w16-d2", kImages, 16, 3, at::kFloat};
  UnrollSet set_;
  std::vector<UnrollStep> steps_;
};

TEST_F(KeptPasses, GiveTheSameBitsAsPassesRunOnceMore) {
  for (const size_t count : {1, 7})
    for (const double momentum : {0.0, 0.9})
      for (const bool checkpoints : {false, true}) {
        UnrollOptions options{.momentum = momentum, .checkpoints = checkpoints, .pass_bytes = 0};
        Unroll::KeptSteps kept;
        const UnrollGradient wanted = through(count, options, kept);
        EXPECT_EQ(kept.count, 0);
        for (const int threads : {1, 2, 5}) {
          const int before = at::get_num_threads();
          at::set_num_threads(threads);
          options.pass_bytes = -1;
          const UnrollGradient found = through(count, options, kept);
          at::set_num_threads(before);
          EXPECT_EQ(kept.count, checkpoints && count > 1 ? 0 : static_cast<int64_t>(count));
          EXPECT_TRUE(found.images.equal(wanted.images)) << count;
          EXPECT_TRUE(found.theta.equal(wanted.theta)) << count;
          EXPECT_TRUE(found.targets.equal(wanted.targets)) << count;
          EXPECT_EQ(found.learning_rate, wanted.learning_rate) << count;
        }
      }
}

TEST_F(KeptPasses, AreAsManyAsMemoryAllows) {
  Unroll::KeptSteps all, some;
  const UnrollGradient wanted = through(7, {}, all);
  ASSERT_EQ(all.count, 7);
  const UnrollGradient found = through(7, {.pass_bytes = all.bytes / 7 * 3}, some);
  EXPECT_EQ(some.count, 3);
  EXPECT_TRUE(found.images.equal(wanted.images));
  // A limit leaves a quarter to callers: the parameters of all steps, and three passes.
  const int64_t points = 7 * 4 * toy_.net->parameters().size;
  toy_.net->limit_memory(4 * (points + all.bytes / 7 * 3));
  const UnrollGradient limited = through(7, {}, some);
  EXPECT_EQ(some.count, 3);
  EXPECT_LT(difference(limited.images, wanted.images), 1e-4);
  toy_.net->limit_memory(4 * points);
  through(7, {}, some);
  EXPECT_EQ(some.count, 0);
}

}  // namespace
}  // namespace retort::train
