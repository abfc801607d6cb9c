#include "retort/core/process_group.h"

#include <gtest/gtest.h>

#include "retort/core/share.h"
#include "support/support.h"

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

}  // namespace
}  // namespace retort
