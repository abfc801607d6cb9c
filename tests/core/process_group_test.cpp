#include "retort/core/process_group.h"

#include <gtest/gtest.h>

#include "core/item_sum.h"
#include "retort/core/share.h"
#include "support/support.h"
#include "support/thread_group.h"

namespace retort {
namespace {

TEST(Share, PartsAreAllItemsInOrderAndNearlyEqual) {
  for (const int64_t total : {0, 1, 2, 7, 100})
    for (const int64_t count : {1, 2, 3, 8}) {
      std::vector<int64_t> all;
      for (int64_t index = 0; index < count; ++index) {
        const std::vector<int64_t> mine = Share{index, count}.items(total);
        EXPECT_LE(std::abs(std::ssize(mine) * count - total), count) << total << "/" << count;
        all.insert(all.end(), mine.begin(), mine.end());
      }
      EXPECT_EQ(all, Share().items(total));
      EXPECT_EQ(std::ssize(all), total);
    }
}

TEST(Share, OfAGroupOfOneIsTheWholePart) {
  const Share part = Share{1, 3}.within(ProcessGroup::alone());
  EXPECT_EQ(part.index, 1);
  EXPECT_EQ(part.count, 3);
}

TEST(Share, IsReadFromText) {
  EXPECT_EQ(parse_shard("3/8").index, 3);
  EXPECT_EQ(parse_shard("3/8").count, 8);
  for (const char* text : {"", "1", "2/2", "-1/2", "0/0", "0/2x", "0/99999999999"})
    tests::expect_error<ConfigError>([&] { parse_shard(text); }, {"--shard is", "INDEX/COUNT"});
}

TEST(ProcessGroup, AloneGivesBackWhatItWasGiven) {
  const ProcessGroup& alone = ProcessGroup::alone();
  EXPECT_TRUE(alone.first());
  EXPECT_EQ(alone.size(), 1);
  EXPECT_EQ(alone.gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(alone.agree(7), 7);
  EXPECT_FALSE(alone.any(false));
  const std::vector<at::Tensor> items{at::full({2}, 1.0), at::full({2}, 2.0)};
  EXPECT_TRUE(alone.all_reduce(items, items[0]).equal(at::full({2}, 3.0)));
  EXPECT_TRUE(alone.all_reduce({}, items[0]).equal(at::zeros({2})));
  EXPECT_TRUE(alone.gather(items, items[0])[1].is_same(items[1]));
  EXPECT_EQ(alone.fail({3, "no"}).message, "no");
}

TEST(ProcessGroup, SumsHaveTheSameBitsForAnyNumberOfProcesses) {
  // Whose sum depends on the order of the items, and which divide into parts of unequal size.
  const at::Tensor like = at::zeros({3, 5});
  const auto item = [&](int64_t i) {
    return at::full({3, 5}, 1.0 / static_cast<double>(i * i + 3)) * at::arange(15).view({3, 5});
  };
  for (const int64_t items : {0, 1, 7, 40}) {
    ItemSum whole(ProcessGroup::alone(), like);
    for (int64_t i = 0; i < items; ++i) whole.add(item(i));
    const at::Tensor expected = whole.total();
    for (const int64_t count : {2, 3, 20})
      tests::in_threads(count, [&](const ProcessGroup& group) {
        std::vector<at::Tensor> mine;
        ItemSum sum(group, like);
        for (const int64_t i : Share().within(group).items(items)) {
          mine.push_back(item(i));
          sum.add(mine.back());
        }
        EXPECT_TRUE(group.all_reduce(mine, like).equal(expected));
        EXPECT_TRUE(sum.total().equal(expected));
      });
  }
}

TEST(ProcessGroup, DealsEachProcessWhatAllHaveForIt) {
  tests::in_threads(3, [](const ProcessGroup& group) {
    const std::string me = std::to_string(group.rank());
    EXPECT_EQ(group.deal({me + "a", "", me + "ccc"})[1], group.rank() == 1   ? ""
                                                         : group.rank() == 0 ? "1a"
                                                                             : "1ccc");
  });
}

TEST(ProcessGroup, AFailureIsToldByTheFirstThatFailed) {
  std::vector<std::string> told(3);
  const auto work = [&](const ProcessGroup& group) {
    try {
      if (group.rank() == 2) throw ResourceError({"writing a file", "its disk is full", {}, {}});
      group.barrier();
    } catch (const PeerError& error) {
      told[to_size(group.rank())] = error.what();
      throw;
    }
  };
  tests::expect_error<ResourceError>([&] { tests::in_threads(3, work); }, {"its disk is full"});
  EXPECT_TRUE(told[0].starts_with("process 2 of 3: writing a file: its disk is full")) << told[0];
  EXPECT_EQ(told[1], told[0]);
}

}  // namespace
}  // namespace retort
