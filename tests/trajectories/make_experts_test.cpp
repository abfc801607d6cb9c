// Experts in one call, as a program that embeds the library makes them.
#include <gtest/gtest.h>

#include "core/file.h"
#include "retort/core/error.h"
#include "trajectories/small_experts.h"

namespace retort::trajectories {
namespace {

using tests::Small;
using tests::TempFolder;

TEST(MakeExperts, LeavesWhatTheStepsLeave) {
  TempFolder folder;
  Small small;
  small.train(folder / "steps");
  ExpertSettings how;
  int64_t needed = 0;
  how.need = [&](const DiskNeed& need) { needed = need.experts; };
  const ExpertOutcome outcome = make_experts(small.data, small.options, folder / "call", how);
  EXPECT_EQ(outcome.made, 3);
  EXPECT_EQ(needed, 3);
  EXPECT_EQ(outcome.network, "convnet-w4-d1");
  EXPECT_EQ(outcome.parameters, small.network->parameters().size);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "steps"))
    if (entry.path().extension() == ".safetensors" || entry.path().extension() == ".toml") {
      ++files;
      EXPECT_EQ(read_file(entry.path()), read_file(folder / "call" / entry.path().filename()));
    }
  EXPECT_GE(files, 4);
  needed = 0;
  EXPECT_EQ(make_experts(small.data, small.options, folder / "call", how).made, 0);
  EXPECT_EQ(needed, 0);
}

TEST(MakeExperts, StopsAndGoesOn) {
  TempFolder folder;
  Small small;
  small.stop.request();
  ExpertSettings how;
  how.stop = &small.stop;
  EXPECT_TRUE(make_experts(small.data, small.options, folder / "run", how).stopped);
  EXPECT_EQ(make_experts(small.data, small.options, folder / "run").experts.size(), 3U);
}

TEST(MakeExperts, RefusesBeforeAnythingIsOnDisk) {
  TempFolder folder;
  Small small("convnet-w4-d1-bn");
  EXPECT_THROW(make_experts(small.data, small.options, folder / "run"), ConfigError);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

}  // namespace
}  // namespace retort::trajectories
