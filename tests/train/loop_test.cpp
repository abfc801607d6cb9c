// The steps and passes that all trainings share, against steps written out.
#include "train/loop.h"

#include <gtest/gtest.h>

#include <limits>

#include "retort/core/error.h"
#include "support/support.h"
#include "train/sequential_training.h"

namespace retort::train {
namespace {

const nets::Shape kShape{1, 8, 8, 3};

/// A network, its beginning and six images of three classes, in order.
struct Setting {
  explicit Setting(const std::string& name) : network(nets::make_network(name, kShape)) {
    images = at::empty({6, 1, 8, 8});
    RandomStream(1, "test.images").fill_normal(images.data_ptr<float>(), images.numel());
    source = data::tensor_source(images, labels);
    model.theta = network->initial(RandomStream(0, "test.initial"));
    if (network->state().size > 0) model.state = network->initial_state();
  }

  nets::Gradient gradient(const at::Tensor& theta, const at::Tensor& rows) const {
    return network->gradient({theta, {}, images.index_select(0, rows)},
                             {labels.index_select(0, rows)});
  }

  std::unique_ptr<nets::Network> network;
  at::Tensor images, labels = at::tensor({0, 0, 1, 1, 2, 2}, at::kLong);
  std::unique_ptr<data::BatchSource> source;
  ModelState model;
};

ShuffledBatches::Draws draws() {
  return {[](int64_t epoch) { return RandomStream(3, "order", static_cast<uint64_t>(epoch)); },
          [](int64_t epoch, int64_t batch) {
            return RandomStream(3, "augment", static_cast<uint64_t>(epoch),
                                static_cast<uint64_t>(batch));
          }};
}

TEST(Loop, APassIsStepsOverAllBatches) {
  Setting setting("mlp");
  at::Tensor theta = setting.model.theta.clone();
  const at::Tensor order = at::tensor(RandomStream(3, "order", 5).permutation(6), at::kLong);
  double loss = 0;
  for (const at::Tensor& rows : order.split(4)) {
    const nets::Gradient found = setting.gradient(theta, rows);
    theta = theta - 0.1 * static_cast<double>(rows.size(0)) * found.theta;
    loss += found.loss.item<double>() * static_cast<double>(rows.size(0)) / 6;
  }
  const auto optimizer = optim::make_optimizer({.momentum = 0}, setting.model.theta);
  const ShuffledBatches batches(*setting.source, 4, {}, draws());
  ASSERT_EQ(batches.batches(), 2);
  const auto rate = [](int64_t epoch, int64_t batch) {
    EXPECT_EQ(epoch, 5);
    return batch == 0 ? 0.4 : 0.2;
  };
  const auto found = Trainer(*setting.network, setting.model, *optimizer).pass(batches, 5, rate);
  ASSERT_TRUE(found.has_value());
  EXPECT_NEAR(*found, loss, 1e-6);
  EXPECT_LT((setting.model.theta - theta).abs().max().item<double>(), 1e-6);
}

// A mixed image is one of its own outside the box and another's within, and its targets say so.
TEST(Loop, BatchesAreMixedWithTheirTargets) {
  const Setting setting("mlp");
  ShuffledBatches batches(*setting.source, 6, {}, draws());
  batches.mix(1, 3);
  int mixed = 0;
  for (int64_t epoch = 0; epoch < 8; ++epoch) {
    const LabelledBatch batch = batches.get(epoch, 0);
    ASSERT_EQ(batch.targets.values.sizes(), at::IntArrayRef({6, 3}));
    for (int64_t i = 0; i < 6; ++i) {
      const at::Tensor own = setting.images[batch.rows[static_cast<size_t>(i)]];
      const double same = batch.images[i].eq(own).to(at::kDouble).mean().item<double>();
      const int64_t label = setting.labels[batch.rows[static_cast<size_t>(i)]].item<int64_t>();
      EXPECT_GE(batch.targets.values[i][label].item<double>(), same - 1e-6);
      EXPECT_NEAR(batch.targets.values[i].sum().item<double>(), 1, 1e-6);
      mixed += same < 1;
    }
  }
  EXPECT_GT(mixed, 10);
}

TEST(Loop, ShuffledBatchesAreAFunctionOfEpochAndBatch) {
  const Setting setting("mlp");
  const auto strategy = augment::parse_strategy("flip_scale");
  const ShuffledBatches one(*setting.source, 4, strategy, draws());
  const ShuffledBatches another(*setting.source, 4, strategy, draws());
  const LabelledBatch late = another.get(2, 1);  // without those before
  one.get(0, 0);
  one.get(1, 1);
  const LabelledBatch same = one.get(2, 1);
  EXPECT_EQ(same.rows, late.rows);
  EXPECT_EQ(same.rows.size(), 2u);
  EXPECT_TRUE(same.images.equal(late.images));
  EXPECT_FALSE(one.get(3, 1).rows == late.rows && one.get(4, 1).rows == late.rows);
}

TEST(Loop, StatisticsAndAveragesFollowTheStep) {
  Setting setting("convnet-w8-d1-bn");
  ModelState& model = setting.model;
  const at::Tensor theta = model.theta.clone(), state = model.state.clone();
  model.average_theta = theta.clone();
  model.average_state = state.clone();
  const auto optimizer = optim::make_optimizer({}, theta);
  Trainer(*setting.network, model, *optimizer, {.average_decay = 0.75})
      .step({setting.images, {setting.labels}}, 0.1);
  EXPECT_FALSE(model.theta.equal(theta));
  EXPECT_FALSE(model.state.equal(state));
  EXPECT_TRUE(at::allclose(model.average_theta, 0.75 * theta + 0.25 * model.theta));
  EXPECT_TRUE(at::allclose(model.average_state, 0.75 * state + 0.25 * model.state));
}

TEST(Loop, APassThatWasStoppedHasNoLoss) {
  Setting setting("mlp");
  StopFlag stop;
  Callbacks callbacks;
  callbacks.stop = &stop;
  int64_t seen = 0;
  callbacks.batch = [&](const std::vector<int64_t>&, const at::Tensor&) {
    if (++seen == 1) stop.request();
  };
  const auto optimizer = optim::make_optimizer({}, setting.model.theta);
  const ShuffledBatches batches(*setting.source, 2, {}, draws());
  Trainer trainer(*setting.network, setting.model, *optimizer);
  const RateOf rate = [](int64_t, int64_t) { return 0.1; };
  EXPECT_FALSE(trainer.pass(batches, 0, rate, callbacks).has_value());
  EXPECT_EQ(seen, 1);
}

// The i-th batch holds the i-th image of every class; the third step takes the first batch again.
TEST(SequentialTraining, TakesItsStepsInOrderEachAtItsRate) {
  const Setting setting("mlp");
  const std::vector<double> rates = {0.1, 0.3, 0.2};
  at::Tensor theta = initial_start(*setting.network, {}).theta.clone();
  double last = 0;
  for (size_t k = 0; k < rates.size(); ++k) {
    const at::Tensor rows = at::tensor({0, 2, 4}, at::kLong) + static_cast<int64_t>(k % 2);
    const nets::Gradient found = setting.gradient(theta, rows);
    theta = theta - rates[k] * found.theta;
    last = found.loss.item<double>();
  }
  std::vector<int64_t> done;
  Callbacks callbacks;
  callbacks.epoch = [&](const Epoch& epoch) {
    done.push_back(epoch.done);
    EXPECT_EQ(epoch.total, 3);
  };
  const ModelState found = train_sequentially(*setting.network, *setting.source, {2, 2, 2}, rates,
                                              {}, at::kCPU, callbacks);
  EXPECT_TRUE(found.theta.equal(theta));
  EXPECT_EQ(found.final_loss, last);
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 3}));
}

TEST(SequentialTraining, NamesTheStepWhoseLossIsNotFinite) {
  const Setting setting("mlp");
  const std::vector<double> rates = {1e30, 1e30, 1e30};
  tests::expect_error<StateError>(
      [&] {
        train_sequentially(*setting.network, *setting.source, {2, 2, 2}, rates, {}, at::kCPU);
      },
      {"of 3", "at learning rate 1e+30", "learned rates do not fit"});
}

}  // namespace
}  // namespace retort::train
