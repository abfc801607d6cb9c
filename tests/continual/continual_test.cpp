// Streams, their measures, and learning on tiny networks.
#include "continual/continual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "continual/stored_sets.h"
#include "continual/stream_learner.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/device.h"
#include "support/support.h"

namespace retort::continual {
namespace {

using tests::expect_error;
const at::Device kCpu(at::kCPU);

/// Ten classes of 5 training and 4 test images, 1x6x6: a pattern for each class, and noise.
const data::Dataset& cells() {
  static const data::Dataset data = [] {
    data::Dataset set;
    set.name = "cells";
    set.channels = 1;
    set.height = set.width = 6;
    auto split = [](int64_t per_class, uint64_t seed) {
      const int64_t count = 10 * per_class;
      at::Tensor images = at::empty({count, 1, 6, 6}, at::kByte);
      const at::Tensor labels = at::arange(count, at::kLong).remainder(10);
      RandomStream draw(seed, "test.cells");
      uint8_t* pixel = images.data_ptr<uint8_t>();
      for (int64_t i = 0; i < count; ++i)
        for (uint64_t p = 0; p < 36; ++p) {
          const bool bright =
              RandomStream(3, "test.pattern", static_cast<uint64_t>(i % 10), p).uniform() < 0.5;
          *pixel++ = static_cast<uint8_t>(draw.uniform_int(100) + (bright ? 150 : 0));
        }
      return data::make_split(images, labels, 10);
    };
    set.train = split(5, 1);
    set.test = split(4, 2);
    for (int c = 0; c < 10; ++c) set.class_names.push_back("c" + std::to_string(c));
    set.preprocessing = data::Preprocessing::mean_std({0.5}, {0.3});
    set.hash = "cells";
    return set;
  }();
  return data;
}

ContinualOptions options_of(const std::string& stream, int64_t tasks) {
  ContinualOptions options;
  options.take(find_stream(stream));
  options.tasks = tasks;
  options.orders = 1;
  options.students = 1;
  options.samples_per_task = 0;
  options.memory = 20;
  return options;
}

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

TEST(ClassOrders, OfAHundredClassesAreThePublishedOnes) {
  // Of list(range(100)) after numpy.random.seed(order) and numpy.random.shuffle, numpy 1.24: the
  // first three, and all as digits to the base 31, modulo 1,000,000,007.
  const int64_t heads[5][3] = {{26, 86, 2}, {80, 84, 33}, {83, 30, 56}, {93, 67, 6}, {20, 10, 96}};
  const int64_t all[5] = {148428224, 982672070, 445080463, 795860445, 647593450};
  for (int64_t order = 0; order < 6; ++order) {
    const std::vector<int64_t> classes = class_order(100, order, 7);
    EXPECT_EQ(std::set<int64_t>(classes.begin(), classes.end()).size(), 100u);
    if (order == 5) continue;  // drawn
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(classes[i], heads[order][i]) << order << " " << i;
    int64_t digits = 0;
    for (const int64_t c : classes) digits = (digits * 31 + c) % 1000000007;
    EXPECT_EQ(digits, all[order]) << order;
  }
  EXPECT_EQ(class_order(10, 0, 3), class_order(10, 0, 3));
  EXPECT_NE(class_order(10, 0, 3), class_order(10, 1, 3));
}

TEST(TaskStream, DealsOutEveryClassOnce) {
  const TaskStream stream(cells(), options_of("class-incremental", 5), 0);
  std::set<int64_t> all;
  int64_t tested = 0;
  for (int64_t t = 0; t < 5; ++t) {
    const data::Dataset samples = stream.arrive(t);
    ASSERT_EQ(samples.classes(), 2);
    EXPECT_EQ(samples.train.size(), 10);
    for (size_t i = 0; i < 2; ++i) {
      const int64_t c = stream.task(t).classes[i];
      all.insert(c);
      EXPECT_EQ(samples.class_names[i], cells().class_names[c]);
      const int64_t row = samples.train.rows_by_class[i].front();
      const int64_t from = stream.task(t).rows[row];
      EXPECT_EQ(cells().train.labels[from].item<int64_t>(), c);
      EXPECT_TRUE(samples.train.images[row].equal(cells().train.images[from]));
    }
    tested += stream.test(t).size();
  }
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(tested, cells().test.size());
}

TEST(TaskStream, TurnsEveryTaskWithinItsOwnSlice) {
  const TaskStream stream(cells(), options_of("rotations", 4), 2);
  for (int64_t t = 0; t < 4; ++t) {
    EXPECT_GE(stream.task(t).angle, 45.0 * static_cast<double>(t));
    EXPECT_LT(stream.task(t).angle, 45.0 * static_cast<double>(t + 1));
  }
  EXPECT_NE(stream.arrive(0).hash, stream.arrive(1).hash);
  EXPECT_EQ(stream.record().at("tasks").at(3).at("angle"), stream.task(3).angle);
}

TEST(TaskStream, TurnsAgainstTheClock) {
  const TaskStream stream(cells(), options_of("rotations", 180), 0);
  EXPECT_NEAR(stream.task(90).angle, 90.5, 0.5);
  auto distance = [&](int64_t quarters) {
    return (stream.arrive(90).train.images.to(at::kFloat) -
            cells().train.images.rot90(quarters, {2, 3}))
        .abs()
        .mean()
        .item<double>();
  };
  EXPECT_LT(distance(1), 5);
  EXPECT_GT(distance(-1), 40);
}

TEST(TaskStream, PermutesTrainingAndTestPixelsAlike) {
  const TaskStream stream(cells(), options_of("permutations", 3), 0);
  const Task& task = stream.task(1);
  const data::Dataset samples = stream.arrive(1);
  for (int64_t i = 0; i < 36; ++i) {
    const int64_t from = task.pixels[i];
    EXPECT_TRUE(samples.train.images.flatten(1).select(1, i).equal(
        cells().train.images.flatten(1).select(1, from)));
    EXPECT_TRUE(stream.test(1).images.flatten(1).select(1, i).equal(
        cells().test.images.flatten(1).select(1, from)));
  }
  EXPECT_NE(task.pixels, stream.task(2).pixels);
}

TEST(TaskStream, BalancesSamplesAndTests) {
  ContinualOptions options = options_of("permutations", 3);
  options.samples_per_task = 32;
  options.test_samples = 10;
  const TaskStream stream(cells(), options, 0);
  const data::Dataset samples = stream.arrive(0);
  EXPECT_EQ(samples.train.size(), 32);
  for (const auto& members : samples.train.rows_by_class) EXPECT_GE(members.size(), 3u);
  for (const auto& members : stream.test(0).rows_by_class) EXPECT_EQ(members.size(), 1u);
  EXPECT_NE(stream.task(0).rows, stream.task(1).rows);
}

TEST(TaskStream, RefusesWhatTheDataCannotGive) {
  expect_error<ConfigError>([] { TaskStream(cells(), options_of("class-incremental", 3), 0); },
                            {"10 classes", "3 tasks", "--steps", "--classes"});
  ContinualOptions options = options_of("incremental", 20);
  options.samples_per_task = 5000;
  expect_error<ConfigError>([&] { TaskStream(cells(), options, 0); }, {"--tasks"});
  options.tasks = 5;
  expect_error<ConfigError>([&] { TaskStream(cells(), options, 0); },
                            {"the smallest class", "--samples-per-task 10"});
  expect_error<ConfigError>([] { find_stream("rotation"); }, {"rotations"});
}

TEST(Reservoir, KeepsAllSamplesWithTheSameProbability) {
  std::vector<int> kept(40);
  for (uint64_t round = 0; round < 2000; ++round) {
    Reservoir reservoir(10, RandomStream(round, "test.reservoir"));
    for (int64_t i = 0; i < 40; ++i) reservoir.offer(at::zeros({1}), i, 0);
    ASSERT_EQ(reservoir.size(), 10);
    for (int64_t i = 0; i < 10; ++i) ++kept[reservoir.label(i)];
  }
  for (const int count : kept) EXPECT_NEAR(count, 500, 100);  // five deviations
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
