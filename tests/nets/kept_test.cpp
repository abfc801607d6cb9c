// Products of the second order from what a gradient kept: the same bits as without it, for every
// shape, number of groups and threads.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "nets/blocked/arena.h"
#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::normals;
using tests::Toy;

constexpr int64_t kPlenty = int64_t{1} << 30;
constexpr WithRespectTo kAll{.theta = true, .images = true};

/// Skips, aloud, where the build or the processor has no engine that keeps passes.
class Kept : public testing::Test {
 protected:
  void SetUp() override {
    for (const EngineEntry& entry : engine_table())
      if (entry.name == "blocked" && !entry.present) GTEST_SKIP() << entry.summary;
  }
};

void expect_equal(const GradientJvp& found, const GradientJvp& wanted, const std::string& what) {
  EXPECT_TRUE(found.loss.equal(wanted.loss)) << what;
  EXPECT_TRUE(found.theta.equal(wanted.theta)) << what;
  EXPECT_TRUE(found.images.equal(wanted.images)) << what;
  ASSERT_EQ(found.targets.defined(), wanted.targets.defined());
  if (wanted.targets.defined()) {
    EXPECT_TRUE(found.targets.equal(wanted.targets)) << what;
  }
}

struct Threads {
  explicit Threads(int count) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before); }
  const int before = at::get_num_threads();
};

TEST_F(Kept, GivesTheSameBitsOnAnyNumberOfThreads) {
  struct Case {
    const char* network;
    int64_t rows, side, channels;
  };
  for (const Case& c : {Case{"convnet-w16", 10, 32, 3}, Case{"convnet-w32-d2", 3, 12, 1},
                        Case{"convnet-w64-d1", 1, 4, 4}, Case{"convnet-w16-d2", 37, 8, 3}}) {
    const Toy toy(c.network, c.rows, c.side, c.channels, at::kFloat);
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
    for (const losses::Targets& targets : {toy.hard, toy.soft}) {
      WithRespectTo wrt = kAll;
      wrt.targets = targets.values.is_floating_point();
      const GradientJvp wanted = toy.net->gradient_jvp(toy.inputs, targets, v, wrt);
      const Gradient plain = toy.net->gradient(toy.inputs, targets, {.images = true});
      for (const int threads : {1, 2, 5}) {
        const Threads own(threads);
        const Gradient g = toy.net->gradient(toy.inputs, targets, {.images = true}, kPlenty);
        EXPECT_TRUE(g.theta.equal(plain.theta));
        EXPECT_TRUE(g.images.equal(plain.images));
        ASSERT_TRUE(g.kept);
        for (int again = 0; again < 2; ++again)
          expect_equal(toy.net->gradient_jvp(toy.inputs, targets, v, wrt, g.kept.get()), wanted,
                       c.network);
      }
    }
  }
}

TEST_F(Kept, HoldsForGroupsAndOutlivesTheNetworkAndTheInputs) {
  Toy toy("convnet-w16-d2", 23, 8, 3, at::kFloat);
  toy.inputs.offsets = {0, 1, 19, 23};
  const at::Tensor theta = toy.inputs.theta;
  toy.inputs.theta = at::stack({theta, theta * 1.1, theta * 0.9});
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
  const GradientJvp wanted = toy.net->gradient_jvp(toy.inputs, toy.hard, v, kAll);
  Inputs passing = toy.inputs;
  passing.images = toy.inputs.images.clone();
  const auto kept = toy.net->gradient(passing, toy.hard, {}, kPlenty).kept;
  ASSERT_TRUE(kept);
  passing = {};
  expect_equal(toy.net->gradient_jvp(toy.inputs, toy.hard, v, kAll, kept.get()), wanted, "groups");
  toy.net.reset();
  EXPECT_GT(kept->bytes(), 0);
}

TEST_F(Kept, TakesNoMoreThanItMay) {
  const Toy toy("convnet-w16", 10, 16, 3, at::kFloat);
  const auto kept = [&](int64_t bytes) {
    return toy.net->gradient(toy.inputs, toy.hard, {}, bytes).kept;
  };
  const int64_t needed = kept(kPlenty)->bytes();
  // Maps but the first layer's, outputs and their cotangents, moments, features.
  const int64_t maps = 16 * (64 + 16), outputs = 16 * (64 + 16 + 4), moments = 3 * 2 * 16;
  EXPECT_EQ(needed, 10 * 4 * (maps + 2 * outputs + moments + toy.net->feature_size()));
  EXPECT_TRUE(kept(needed));
  EXPECT_FALSE(kept(needed - 1));
  EXPECT_FALSE(kept(0));
}

#ifdef RETORT_WITH_BLOCKED
TEST(Arena, GivesWhatWasReservedFromOnePiece) {
  Arena arena;
  arena.reserve(1024);
  const float* const first = arena.take(500);
  EXPECT_EQ(arena.take(512) - first, 512);  // 500 in whole vectors
  arena.reset();
  arena.reserve(600);
  EXPECT_EQ(arena.take(1024), first) << "a larger piece is kept";
}
#endif

TEST_F(Kept, IsRefusedForOtherRowsAndPassedOverByOtherEngines) {
  const Toy toy("convnet-w16-d2", 6, 8, 3, at::kFloat),
      other("convnet-w16-d2", 5, 8, 3, at::kFloat);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
  const auto kept = other.net->gradient(other.inputs, other.hard, {}, kPlenty).kept;
  ASSERT_TRUE(kept);
  EXPECT_THROW(toy.net->gradient_jvp(toy.inputs, toy.hard, v, kAll, kept.get()), c10::Error);
  const auto plain = tests::restricted(*toy.net, "sequential");
  const GradientJvp wanted = plain->gradient_jvp(toy.inputs, toy.hard, v, kAll);
  expect_equal(plain->gradient_jvp(toy.inputs, toy.hard, v, kAll, kept.get()), wanted, "another");
  const Toy doubles("convnet-w16-d2", 6);
  EXPECT_FALSE(doubles.net->gradient(doubles.inputs, doubles.hard, {}, kPlenty).kept);
}

TEST(Products, GiveOnlyWhatIsAskedFor) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const Toy toy("convnet-w16-d2", 6, 8, 3, type);
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, type);
    const GradientJvp all = toy.net->gradient_jvp(toy.inputs, toy.hard, v, kAll);
    const GradientJvp images = toy.net->gradient_jvp(toy.inputs, toy.hard, v, {.images = true});
    EXPECT_FALSE(images.theta.defined());
    EXPECT_TRUE(images.images.equal(all.images));
    EXPECT_TRUE(images.loss.equal(all.loss));
    const GradientJvp theta = toy.net->gradient_jvp(toy.inputs, toy.hard, v);
    EXPECT_FALSE(theta.images.defined());
    EXPECT_TRUE(theta.theta.equal(all.theta));
  }
}

}  // namespace
}  // namespace retort::nets
