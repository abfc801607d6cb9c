// What the tasks of a stream are, and what is kept of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "continual/cells.h"
#include "continual/stream_learner.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::continual {
namespace {

using tests::expect_error;

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

}  // namespace
}  // namespace retort::continual
