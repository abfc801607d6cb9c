// How parts are told apart, and what is refused.
#include "retort/data/split_identity.h"

#include <gtest/gtest.h>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/dataset.h"
#include "support/support.h"

namespace retort::data {
namespace {

/// Twelve grey 4x4 images of each of two classes, with or without a test part.
Dataset opened(const DataOptions& options, bool test_part = false, uint64_t seed = 1) {
  RawDataset raw;
  raw.name = "toy";
  raw.channels = 1;
  raw.height = raw.width = 4;
  raw.class_names = {"a", "b"};
  RandomStream draw(seed, "test.split");
  for (auto* part : {&raw.train, &raw.test}) {
    if (part == &raw.test && !test_part) break;
    for (int64_t i = 0; i < 24; ++i) {
      part->labels.push_back(i % 2);
      for (int p = 0; p < 16; ++p)
        part->pixels.push_back(static_cast<uint8_t>(draw.uniform_int(256)));
    }
  }
  return prepare_dataset(std::move(raw), options);
}

MadeFrom made_of(const Dataset& data) {
  return {"the set 'a'", data.hash, data.split};
}

TEST(SplitIdentity, TellsSeedsFractionsAndPublishedPartsApart) {
  const SplitIdentity zero = opened({}).split;
  DataOptions five;
  five.split_seed = 5;
  const SplitIdentity other = opened(five).split;
  EXPECT_NE(zero, other);
  EXPECT_NE(zero.train, other.train);
  EXPECT_NE(zero.test, other.test);
  EXPECT_EQ(zero, opened({}).split);
  EXPECT_EQ(zero.train.substr(0, 10), "20 images,");  // 24 less 20 % of every class of 12: 2 each
  EXPECT_EQ(zero.flags(), "--test-fraction 0.2 --split-seed 0");
  EXPECT_EQ(other.words(), "20 % of every class split off as test (split seed 5)");
  const SplitIdentity published = opened(five, true).split;
  EXPECT_EQ(published.flags(), "");
  EXPECT_EQ(published, opened({}, true).split) << "a seed that nothing depends on is no difference";
  EXPECT_NE(published.test, opened({}, true, 2).split.test);
}

TEST(SplitIdentity, ComesBackFromItsText) {
  DataOptions options;
  options.validation_fraction = 0.1;
  options.split_seed = 3;
  const SplitIdentity split = opened(options).split;
  EXPECT_EQ(parse_split(split.text()), split);
  EXPECT_FALSE(parse_split("")->known());
  EXPECT_EQ(SplitIdentity{}.text(), "");
  std::string high = split.text();
  high.replace(high.find("0.1"), 3, "1.5");
  for (const std::string& bad : {std::string("{"), std::string("[]"), std::string("{}"), high})
    EXPECT_FALSE(parse_split(bad).has_value()) << bad;
}

TEST(SplitIdentity, RefusesAnotherSplitNamingBoth) {
  DataOptions five;
  five.split_seed = 5;
  five.test_fraction = 0.25;
  const Dataset zero = opened({}), other = opened(five);
  EXPECT_EQ(check_split(made_of(zero), "evaluating", zero), "");
  retort::tests::expect_error<StateError>(
      [&] { check_split(made_of(other), "evaluating", zero); },
      {"evaluating", "the set 'a'", "25 %", "split seed 5", "20 %", "split seed 0",
       "leave --test-fraction", "--test-fraction 0.25 --split-seed 5"});
  DataOptions held = {};
  held.validation_fraction = 0.2;
  retort::tests::expect_error<StateError>(
      [&] { check_split(made_of(zero), "evaluating", opened(held)); }, {"as validation"});
  retort::tests::expect_error<StateError>(
      [&] { check_split(made_of(zero), "labelling", made_of(other)); }, {"labelling", "25 %"});
}

TEST(SplitIdentity, OfChangedDataIsRefusedWhereTheTestPartIsSplitOffAnew) {
  const MadeFrom before = made_of(opened({}));
  const Dataset changed = opened({}, false, 2);
  retort::tests::expect_error<StateError>([&] { check_split(before, "evaluating", changed); },
                                          {"changed", before.data_hash, changed.hash, "train/"});
  // A test part of their own holds no training image: the other hash is said.
  EXPECT_NE(check_split(before, "evaluating", opened({}, true, 2)).find(before.data_hash),
            std::string::npos);
  MadeFrom unknown = before;
  unknown.split = {};
  EXPECT_NE(check_split(unknown, "evaluating", changed).find("not known"), std::string::npos);
  EXPECT_EQ(check_split(unknown, "evaluating", opened({}, true)), "");
}

}  // namespace
}  // namespace retort::data
