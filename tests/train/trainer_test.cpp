// The training loop against a loop written out, and what must hold for any training.
#include "retort/train/trainer.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "support/support.h"
#include "train/train_many.h"

namespace retort::train {
namespace {

const nets::Shape kShape{1, 8, 8, 3};
const at::Device kCpu(at::kCPU);

at::Tensor images_for(int64_t rows, uint64_t seed = 1) {
  at::Tensor images = at::empty({rows, kShape.channels, kShape.height, kShape.width});
  RandomStream(seed, "test.images").fill_normal(images.data_ptr<float>(), images.numel());
  return images;
}

at::Tensor labels_for(int64_t rows) {
  return at::arange(rows, at::kLong).remainder(3);
}

std::unique_ptr<data::BatchSource> source_of(int64_t rows, uint64_t seed = 1) {
  return data::tensor_source(images_for(rows, seed), labels_for(rows));
}

TrainOptions quick(int64_t epochs, int64_t batch_size = 4) {
  TrainOptions options;
  options.epochs = epochs;
  options.batch_size = batch_size;
  return options;
}

/// The published rule written out: SGD with momentum, rate and momentum new after epoch E/2 + 1.
at::Tensor train_written_out(const nets::Network& network, const TrainOptions& options,
                             const TrainSeed& seed, const at::Tensor& images,
                             const at::Tensor& labels) {
  at::Tensor theta =
      network.initial(RandomStream(seed.seed, seed.purpose + ".initial", seed.index));
  at::Tensor velocity = at::zeros_like(theta);
  double rate = options.learning_rate;
  for (int64_t epoch = 0; epoch <= options.epochs; ++epoch) {
    RandomStream stream(seed.seed, seed.purpose + ".order", seed.index,
                        static_cast<uint64_t>(epoch));
    const at::Tensor order = at::tensor(stream.permutation(images.size(0)));
    for (const at::Tensor& rows : order.split(options.batch_size)) {
      const nets::Gradient gradient = network.gradient(
          {theta, {}, images.index_select(0, rows)}, losses::Targets{labels.index_select(0, rows)});
      velocity = options.momentum * velocity + gradient.theta + options.weight_decay * theta;
      theta = theta - rate * velocity;
    }
    if (epoch != options.epochs / 2 + 1) continue;
    rate *= 0.1;
    velocity.zero_();
  }
  return theta;
}

TEST(Trainer, MatchesTheRuleWrittenOut) {
  const auto network = nets::make_network("mlp", kShape);
  const TrainOptions options = quick(4, 2);  // the drop comes before the last of five passes
  const TrainSeed seed{7, "student", 2};
  const at::Tensor theta = train(*network, *source_of(5), options, seed, kCpu).theta;
  const at::Tensor expected =
      train_written_out(*network, options, seed, images_for(5), labels_for(5));
  EXPECT_LT((theta - expected).abs().max().item<double>(), 1e-6);
}

TEST(Trainer, ShowsEveryRowOnceAnEpochWithTheLastPartialBatch) {
  const auto network = nets::make_network("mlp", kShape);
  std::vector<std::vector<int64_t>> batches;
  Callbacks callbacks;
  callbacks.batch = [&](const std::vector<int64_t>& rows, const at::Tensor& logits) {
    EXPECT_EQ(logits.size(0), static_cast<int64_t>(rows.size()));
    batches.push_back(rows);
  };
  TrainOptions options = quick(2, 4);
  options.schedule = "constant";
  train(*network, *source_of(9), options, {}, kCpu, callbacks);
  ASSERT_EQ(batches.size(), 6u);
  std::vector<std::vector<int64_t>> orders(2);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(batches[i].size(), i % 3 == 2 ? 1u : 4u);
    orders[i / 3].insert(orders[i / 3].end(), batches[i].begin(), batches[i].end());
  }
  for (const auto& order : orders)
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 9u);
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Trainer, GivesTheSameBytesForTheSameSeedOnly) {
  const auto network = nets::make_network("convnet-w8-d1", kShape);
  TrainOptions options = quick(2);
  options.augmentation = "color_crop_cutout_flip_scale_rotate";
  const auto run = [&](const TrainSeed& seed) {
    return train(*network, *source_of(6), options, seed, kCpu).theta;
  };
  const at::Tensor first = run({3, "student", 0});
  EXPECT_TRUE(at::equal(first, run({3, "student", 0})));
  EXPECT_FALSE(at::equal(first, run({4, "student", 0})));
  EXPECT_FALSE(at::equal(first, run({3, "teacher", 0})));
  EXPECT_FALSE(at::equal(first, run({3, "student", 1})));
}

TEST(Trainer, AugmentsUnlessToldNotTo) {
  const auto network = nets::make_network("mlp", kShape);
  TrainOptions options = quick(1);
  const auto run = [&](const std::string& augmentation) {
    options.augmentation = augmentation;
    return train(*network, *source_of(6), options, {}, kCpu).theta;
  };
  EXPECT_TRUE(at::equal(run("none"), run("")));
  EXPECT_FALSE(at::equal(run("none"), run("color")));
}

TEST(Trainer, TakesSoftLabels) {
  const auto network = nets::make_network("mlp", kShape);
  const auto soft =
      data::tensor_source(images_for(6), at::one_hot(labels_for(6), 3).to(at::kFloat));
  const at::Tensor from_soft = train(*network, *soft, quick(3), {}, kCpu).theta;
  const at::Tensor from_hard = train(*network, *source_of(6), quick(3), {}, kCpu).theta;
  EXPECT_LT((from_soft - from_hard).abs().max().item<double>(), 1e-6);
}

TEST(Trainer, LearnsItsImages) {
  const auto network = nets::make_network("mlp", kShape);
  std::vector<double> seen;
  Callbacks callbacks;
  callbacks.epoch = [&](const Epoch& epoch) { seen.push_back(epoch.loss); };
  TrainOptions options = quick(60);
  options.optimizer = "adamw";
  options.schedule = "cosine";
  const ModelState trained = train(*network, *source_of(6), options, {}, kCpu, callbacks);
  ASSERT_EQ(seen.size(), 60u);
  EXPECT_EQ(seen.back(), trained.final_loss);
  EXPECT_LT(trained.final_loss, 0.1 * seen.front());
  EXPECT_FALSE(trained.state.defined());
}

TEST(Trainer, CarriesRunningStatistics) {
  const auto network = nets::make_network("convnet-w8-d1-bn", kShape);
  const ModelState trained = train(*network, *source_of(6), quick(1), {}, kCpu);
  EXPECT_FALSE(at::equal(trained.state, network->initial_state()));
}

TEST(Trainer, NamesEpochAndRateWhenTheLossIsNotFinite) {
  const auto network = nets::make_network("mlp", kShape);
  TrainOptions options = quick(50);
  options.learning_rate = 1e30;
  tests::expect_error<StateError>(
      [&] { train(*network, *source_of(6), options, {}, kCpu); },
      {"epoch ", " of 51", "learning rate 1e+30", "student 0", "lower"});
}

TEST(Trainer, StopsEarlyWhenAsked) {
  const auto network = nets::make_network("mlp", kShape);
  StopFlag stop;
  int64_t done = 0;
  Callbacks callbacks;
  callbacks.stop = &stop;
  callbacks.epoch = [&](const Epoch& epoch) {
    done = epoch.done;
    if (epoch.done == 2) stop.request();
  };
  train(*network, *source_of(6), quick(50), {}, kCpu, callbacks);
  EXPECT_EQ(done, 2);
}

TEST(TrainMany, EqualsTrainingOneByOne) {
  const auto network = nets::make_network("convnet-w8", {3, 16, 16, 3});
  const at::Tensor images = at::empty({6, 3, 16, 16});
  RandomStream(5, "test.images").fill_normal(images.data_ptr<float>(), images.numel());
  const auto source = data::tensor_source(images, labels_for(6));
  TrainOptions options = quick(2);
  options.augmentation = "color_crop_flip";
  std::vector<ModelState> together;
  int64_t epochs = 0;
  Callbacks callbacks;
  callbacks.epoch = [&](const Epoch&) { ++epochs; };
  {
    const ThreadScope threads(2);
    together = train_many(*network, {{source.get(), 4}, {source.get(), 1}, {source.get(), 9}},
                          options, {3, "student", 0}, kCpu, callbacks);
    EXPECT_EQ(at::get_num_threads(), 2);
  }
  EXPECT_EQ(epochs, 9);
  const ThreadScope one(1);
  const std::vector<uint64_t> indices = {4, 1, 9};
  for (size_t i = 0; i < 3; ++i) {
    const ModelState alone = train(*network, *source, options, {3, "student", indices[i]}, kCpu);
    EXPECT_TRUE(at::equal(together[i].theta, alone.theta));
    EXPECT_EQ(together[i].final_loss, alone.final_loss);
  }
}

TEST(TrainMany, ThrowsTheErrorOfTheLowestStudent) {
  const auto network = nets::make_network("mlp", kShape);
  const auto good = source_of(6);
  const auto bad = data::tensor_source(
      at::full({6, 1, 8, 8}, std::numeric_limits<float>::quiet_NaN()), labels_for(6));
  const ThreadScope threads(2);
  tests::expect_error<StateError>(
      [&] {
        train_many(*network, {{good.get(), 0}, {bad.get(), 1}, {bad.get(), 2}}, quick(20), {},
                   kCpu);
      },
      {"student 1"});
}

TEST(TrainMany, RunsSmallBatchesSideBySide) {
  EXPECT_EQ(students_at_once(3, 10, 2), 2);
  EXPECT_EQ(students_at_once(5, 10, 4), 4);
  EXPECT_EQ(students_at_once(3, 10, 16), 1);  // sixteen threads gain more than three
  EXPECT_EQ(students_at_once(3, 10, 1), 1);
  EXPECT_EQ(students_at_once(1, 10, 16), 1);
  EXPECT_EQ(students_at_once(3, 256, 16), 1);
}

TEST(Accuracy, IsTheShareOfRightRowsOverAllChunks) {
  const auto network = nets::make_network("mlp", kShape);
  const at::Tensor bytes = images_for(2500, 8).mul(40).add(128).clamp(0, 255).to(at::kByte);
  const data::Split split = data::make_split(bytes, labels_for(2500), 3);
  const auto preprocessing = data::Preprocessing::mean_std({0.5}, {0.25});
  ModelState trained;
  trained.theta = network->initial(RandomStream(1, "test.initial"));
  const at::Tensor input = (bytes.to(at::kFloat) / 255 - 0.5) / 0.25;
  const at::Tensor found = network->predict(trained.theta, {}, input).argmax(1);
  const double expected = found.eq(split.labels).to(at::kDouble).mean().item<double>();
  EXPECT_DOUBLE_EQ(accuracy(*network, trained, split, preprocessing, kCpu), expected);
}

}  // namespace
}  // namespace retort::train
