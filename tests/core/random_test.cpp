#include "retort/core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace retort {
namespace {

// Known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
TEST(Philox, GivesThePublishedAnswers) {
  const std::array<uint32_t, 4> zeros{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), zeros);
  const uint32_t f = 0xffffffff;
  const std::array<uint32_t, 4> ones{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox({f, f, f, f}, {f, f}), ones);
  const std::array<uint32_t, 4> pi{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), pi);
}

TEST(RandomStream, IsAFunctionOfSeedPurposeAndIndices) {
  auto first = [](RandomStream stream) { return stream.next_u64(); };
  const uint64_t base = first(RandomStream(1, "dm.real", 2, 3));
  EXPECT_EQ(base, first(RandomStream(1, "dm.real", 2, 3)));
  const std::set<uint64_t> others{base,
                                  first(RandomStream(2, "dm.real", 2, 3)),
                                  first(RandomStream(1, "dm.reals", 2, 3)),
                                  first(RandomStream(1, "dm.real", 3, 2)),
                                  first(RandomStream(1, "dm.real", 2, 3, 1)),
                                  first(RandomStream(1, "dm.real", 2, 3, 0, 1))};
  EXPECT_EQ(others.size(), 6U);
}

TEST(RandomStream, UniformsAndNormalsHaveTheirMoments) {
  RandomStream stream(0, "moments");
  const int n = 200000;
  double sum = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform(), z = stream.normal();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
    normal_sum += z;
    normal_squares += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.004);
  EXPECT_NEAR(normal_sum / n, 0, 0.01);
  EXPECT_NEAR(normal_squares / n, 1, 0.015);
}

TEST(RandomStream, BelowIsUniform) {
  RandomStream stream(0, "below");
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts[stream.uniform_int(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
}

TEST(RandomStream, SampleHasNoRepeatsAndPermutationHasAll) {
  RandomStream stream(0, "sample");
  const auto sample = stream.sample(100, 30);
  EXPECT_EQ(std::set<int64_t>(sample.begin(), sample.end()).size(), 30U);
  const auto all = stream.permutation(50);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 50U);
  EXPECT_EQ(stream.sample(3, 9).size(), 3U);
}

}  // namespace
}  // namespace retort
