// Measures of transfer, stored sets, and learning on tiny networks.
#include "continual/continual.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "continual/cells.h"
#include "continual/stored_sets.h"
#include "continual/stream_learner.h"
#include "retort/core/error.h"
#include "support/device.h"
#include "support/support.h"

namespace retort::continual {
namespace {

using tests::expect_error;
const at::Device kCpu(at::kCPU);

/// All samples of the task as they are.
std::optional<synthetic::Bundle> keep_all(const data::Dataset& samples, int64_t, int64_t) {
  synthetic::Bundle bundle;
  bundle.images = samples.preprocessing.apply(samples.train.images, kCpu);
  bundle.labels = samples.train.labels;
  bundle.class_names = samples.class_names;
  return bundle;
}

struct Found {
  std::vector<Learned> all;
  const Learned& at(const std::string& use, int64_t task) const {
    return *std::find_if(all.begin(), all.end(),
                         [&](const Learned& one) { return one.use == use && one.task == task; });
  }
};

Found learn(const ContinualOptions& options, const std::vector<std::string>& uses,
            const std::vector<Learned>& known = {}) {
  const auto network = nets::make_network("mlp-w16", {1, 6, 6, 10});
  train::TrainOptions training;
  training.epochs = 20;
  training.learning_rate = 0.05;
  training.batch_size = 10;
  ContinualInput input{cells(), *network, options,         training,
                       uses,    keep_all, tests::device(), "all"};
  Found found;
  input.record = [&](const Learned& learned) { found.all.push_back(learned); };
  input.known = [&](const std::string& use, int64_t order, int64_t task) {
    return std::any_of(known.begin(), known.end(), [&](const Learned& one) {
      return one.use == use && one.order == order && one.task == task;
    });
  };
  EXPECT_TRUE(learn_continually(input));
  return found;
}

TEST(Transfer, IsThatOfAMatrixByHand) {
  const Accuracies matrix{{0.9, 0.3, 0.2}, {0.6, 0.8, 0.4}, {0.5, 0.7, 0.6}};
  const Transfer found = measure_transfer(matrix, {0.1, 0.1, 0.3});
  EXPECT_NEAR(found.retained, (0.5 + 0.7 + 0.6) / 3, 1e-12);
  EXPECT_NEAR(found.learning, (0.9 + 0.8 + 0.6) / 3, 1e-12);
  EXPECT_NEAR(found.backward, -0.5 / 3, 1e-12);
  EXPECT_NEAR(found.forward, ((0.3 - 0.1) + (0.4 - 0.3)) / 2, 1e-12);
}

TEST(Transfer, NeedsNoAccuraciesBeyondTheNextTask) {
  const Transfer found = measure_transfer({{1.0, 0.5}, {0.5, 1.0}}, {0, 0});
  EXPECT_DOUBLE_EQ(found.backward, -0.25);
  EXPECT_DOUBLE_EQ(found.forward, 0.5);
  EXPECT_DOUBLE_EQ(measure_transfer({{0.7}}, {0.1}).forward, 0);
}

TEST(StoredSets, SpeakOfTheWholeDataSetsClasses) {
  StoredSets sets(10, kCpu);
  synthetic::Bundle bundle;
  bundle.images = at::zeros({2, 1, 6, 6});
  bundle.labels = at::tensor(std::vector<int64_t>{0, 1}, at::kLong);
  bundle.class_names = {"a", "b"};
  sets.add(bundle, {{7, 3}});
  EXPECT_TRUE(sets.recall().targets.equal(at::tensor(std::vector<int64_t>{7, 3}, at::kLong)));
  bundle.soft_labels = at::tensor(std::vector<float>{0.8F, 0.2F, 0.4F, 0.6F}).view({2, 2});
  bundle.student_learning_rate = 0.5;
  sets.add(bundle, {{1, 9}});
  const Recalled both = sets.recall();
  ASSERT_EQ(both.targets.sizes(), at::IntArrayRef({4, 10}));
  EXPECT_EQ(both.targets[0][7].item<float>(), 1);
  EXPECT_EQ(both.targets[2][9].item<float>(), 0.2F);
  EXPECT_EQ(both.targets.sum().item<float>(), 4);
  EXPECT_EQ(both.learned_rate, 0.5);
  EXPECT_EQ(sets.stored_bytes(0), 2 * 36 * 4 + 2 * 8);
}

TEST(Continual, RetrainingOnAllSamplesForgetsLittle) {
  const Found found = learn(options_of("class-incremental", 5), {"retrain"});
  ASSERT_EQ(found.all.size(), 5u);
  for (int64_t t = 0; t < 5; ++t) {
    const Learned& one = found.at("retrain", t);
    EXPECT_EQ(one.accuracies[0].size(), static_cast<size_t>(std::min<int64_t>(t + 2, 5)));
    EXPECT_EQ(one.buffered_samples, 10);
    EXPECT_EQ(one.stored_bytes, (t + 1) * (10 * 36 * 4 + 2 * 8));
    EXPECT_EQ(one.steps, 21 * (t + 1));
    EXPECT_GE(one.seen[0], 0.8) << t;
  }
}

TEST(Continual, OnlineTrainingForgetsAndReplayLess) {
  ContinualOptions options = options_of("permutations", 3);
  options.batch_size = 5;
  options.glances = 10;
  options.learning_rate = 0.1;
  options.memory = 100;
  const double online = learn(options, {"online"}).at("online", 2).seen[0];
  const Found replay = learn(options, {"replay"});
  EXPECT_GT(replay.at("replay", 2).seen[0], online);
  EXPECT_EQ(replay.at("replay", 0).stored_bytes, 50 * (36 * 4 + 8));
  EXPECT_EQ(replay.at("replay", 2).stored_bytes, 100 * (36 * 4 + 8));
  EXPECT_EQ(replay.at("replay", 2).buffered_samples, 5);
  EXPECT_GT(learn(options, {"retrain", "rehearsal"}).at("rehearsal", 2).seen[0], online);
}

TEST(Continual, InitialAccuraciesAreThoseOfTheUntaughtNetwork) {
  const ContinualOptions options = options_of("permutations", 3);
  const Found found = learn(options, {"online"});
  const auto network = nets::make_network("mlp-w16", {1, 6, 6, 10});
  const train::ModelState untaught{
      network->initial(RandomStream(static_cast<uint64_t>(options.seed), "continual.initial")), {}};
  const TaskStream stream(cells(), options, 0);
  for (int64_t t = 0; t < 3; ++t)
    EXPECT_EQ(found.at("online", t).initial[0],
              train::accuracy(*network, untaught, stream.test(t), cells().preprocessing, kCpu))
        << t;
}

TEST(Continual, KnownTasksMaskTheOthersLogits) {
  ContinualOptions options = options_of("incremental", 5);
  options.batch_size = 2;
  options.glances = 5;
  options.learning_rate = 0.1;
  const Found found = learn(options, {"online"});
  // Of two classes; without the mask an earlier task would be all but lost.
  double mean = 0;
  for (int64_t t = 0; t < 5; ++t) {
    const double accuracy = found.at("online", 4).accuracies[0][t];
    EXPECT_GE(accuracy, 0.5) << t;
    mean += accuracy / 5;
  }
  EXPECT_GE(mean, 0.75);  // of 40 tests by chance 0.5, with a deviation of 0.08
}

/// The rows of the last layer that a first task of a stream moves, by class.
std::vector<bool> moved_rows(const std::string& stream_name, std::vector<int64_t>& classes) {
  const ContinualOptions options = options_of(stream_name, 5);
  const auto network = nets::make_network("mlp-w16", {1, 6, 6, 10});
  const ContinualInput input{cells(),    *network, options,         {},
                             {"online"}, {},       tests::device(), "all"};
  const TaskStream stream(cells(), options, 0);
  StreamLearner learner(input, stream, "online", nullptr, 0);
  const nets::Slot& slot = network->parameters().find("classifier.weight");
  const auto rows = [&] {
    return learner.network().theta.narrow(0, slot.offset, slot.count).view({10, -1}).clone();
  };
  const at::Tensor before = rows();
  EXPECT_TRUE(learner.learn(0));
  const at::Tensor gap = (rows() - before).abs().sum(1);
  std::vector<bool> moved;
  for (int64_t c = 0; c < 10; ++c) moved.push_back(gap[c].item<double>() > 0);
  classes = stream.task(0).classes;
  return moved;
}

TEST(StreamLearner, MovesTheClassesOfAKnownTaskAlone) {
  std::vector<int64_t> classes;
  std::vector<bool> moved = moved_rows("incremental", classes);
  ASSERT_EQ(classes.size(), 2u);
  for (int64_t c = 0; c < 10; ++c)
    EXPECT_EQ(moved[c], std::find(classes.begin(), classes.end(), c) != classes.end()) << c;
  moved = moved_rows("rotations", classes);
  EXPECT_EQ(std::count(moved.begin(), moved.end(), true), 10);
}

TEST(Continual, GoesOnWithTheSameFigures) {
  ContinualOptions options = options_of("rotations", 3);
  options.orders = 2;
  for (const std::vector<std::string>& uses :
       {std::vector<std::string>{"retrain", "rehearsal"}, std::vector<std::string>{"replay"}}) {
    const Found whole = learn(options, uses);
    ASSERT_EQ(whole.all.size(), 6 * uses.size());
    std::vector<Learned> known(whole.all.begin(), whole.all.begin() + 4);
    const Found rest = learn(options, uses, known);
    ASSERT_EQ(rest.all.size() + 4, whole.all.size());
    for (size_t i = 0; i < rest.all.size(); ++i) {
      EXPECT_EQ(rest.all[i].accuracies, whole.all[i + 4].accuracies) << i;
      EXPECT_EQ(rest.all[i].initial, whole.all[i + 4].initial) << i;
    }
  }
}

}  // namespace
}  // namespace retort::continual
