#include "retort/core/error.h"

#include <gtest/gtest.h>

#include "support/support.h"

namespace retort {
namespace {

TEST(EditDistance, CountsChangesAndSwaps) {
  EXPECT_EQ(edit_distance("seed", "seed"), 0);
  EXPECT_EQ(edit_distance("sede", "seed"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Nearest, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(nearest("iteratoins", {"seed", "iterations"}), "iterations");
  EXPECT_EQ(nearest("zzz", {"seed", "iterations"}), "");
  EXPECT_EQ(nearest("crop_low", {"crop_slow", "min_crop_area"}), "min_crop_area")
      << "a name that was changed names the new one";
  EXPECT_EQ(nearest("--student-learning-rate-rate",
                    {"--student-learning-rate", "--student-rate-learning-rate"}),
            "--student-rate-learning-rate");
  EXPECT_EQ(nearest("--window-share", {"--window", "--crop-share"}), "--crop-share");
  EXPECT_EQ(nearest("clean", {"training", "recalibrated"}), "recalibrated");
}

TEST(Error, AnswersInOrderAndHasAnExitCode) {
  const DataError error(ErrorMessage{"reading 'a'", "it is short", "two bytes", "fetch it again"});
  EXPECT_STREQ(error.what(),
               "reading 'a': it is short.\n  accepted: two bytes.\n  what to do: fetch it again.");
  EXPECT_EQ(error.exit_code(), 3);
}

TEST(Error, UnknownNameListsCandidatesAndTheNearest) {
  const auto error = ConfigError::unknown("choosing the method", "method", "dn", {"dm", "random"});
  EXPECT_NE(std::string(error.what()).find("dm, random"), std::string::npos);
  EXPECT_NE(std::string(error.what()).find("did you mean 'dm'?"), std::string::npos);
  EXPECT_EQ(error.exit_code(), 2);
}

}  // namespace
}  // namespace retort
