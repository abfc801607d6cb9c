// A run that is killed at random points of its way ends in the same bytes as one that was left
// alone. The points are counts of what it has written, not times: the same on any machine, busy or
// not.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "cli/long_runs.h"
#include "cli/small_data.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::command;
using tests::killed_after;
using tests::lines;
using tests::TempFolder;

/// Records without what may differ: time and memory.
std::vector<Json> comparable(const std::filesystem::path& path) {
  std::vector<Json> records = read_records(path);
  for (Json& record : records)
    for (const char* key : {"seconds", "peak_memory_bytes"}) record.erase(key);
  return records;
}

/// Both must be there.
void expect_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  ASSERT_TRUE(std::filesystem::exists(a)) << a;
  ASSERT_TRUE(std::filesystem::exists(b)) << b;
  EXPECT_EQ(tests::read_text(a), tests::read_text(b)) << b;
}

TEST(Kill, AtRandomPointsEndsInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const int iterations = 60;
  ASSERT_EQ(tests::wait_for(tests::start(command(folder, "straight", iterations))), 0);
  const auto records = [&] { return lines(folder / "killed" / "records.jsonl"); };
  RandomStream steps(4, "kill.steps");
  int killed = 0;
  for (int round = 0; round < 6; ++round)
    killed += killed_after(command(folder, "killed", iterations),
                           static_cast<int>(steps.uniform_int(8)), records);
  EXPECT_GE(killed, 5);
  ASSERT_EQ(tests::wait_for(tests::start(command(folder, "killed", iterations))), 0);
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors", "images/final.png",
                           "images/initial.png"})
    expect_same_file(folder / "straight" / name, folder / "killed" / name);
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
}

std::vector<std::string> continual_command(const TempFolder& folder, const std::string& out) {
  return {"continual",
          "--stream=rotations",
          "--tasks=3",
          "--samples-per-task=60",
          "--memory=30",
          "--orders=2",
          "--network=mlp-w8",
          "--evaluation-epochs=30",
          "--method=dm",
          "--iterations=40",
          "--real-batch=4",
          "--checkpoint-every=5",
          "--threads=1",
          "--data=" + (folder / "data").string(),
          "--out=" + (folder / out).string()};
}

TEST(Kill, OfAStreamAtRandomPointsEndsInTheSameRecords) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  ASSERT_EQ(tests::wait_for(tests::start(continual_command(folder, "straight"))), 0);
  const auto records = [&] {
    int all = 0;
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder / "killed", ignored))
      if (entry.path().filename() == "records.jsonl") all += lines(entry.path());
    return all;
  };
  RandomStream steps(6, "kill.steps");
  int killed = 0;
  for (int round = 0; round < 4; ++round)
    killed += killed_after(continual_command(folder, "killed"),
                           static_cast<int>(1 + steps.uniform_int(20)), records);
  EXPECT_GE(killed, 3);
  ASSERT_EQ(tests::wait_for(tests::start(continual_command(folder, "killed"))), 0);
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
  for (const char* name : {"report.html", "dm/order1/task2/distilled.safetensors"})
    expect_same_file(folder / "straight" / name, folder / "killed" / name);
}

std::vector<std::string> experts_command(const TempFolder& folder, const std::string& out) {
  return {"experts",     "--data",       (folder / "data").string(),
          "--network",   "mlp",          "--count",
          "2",           "--epochs",     "15",
          "--flat",      "--batch-size", "20",
          "--snapshots", "float16",      "--threads",
          "1",           "--out",        (folder / out).string()};
}

/// Counts how often a file has been seen as another than before.
class Changes {
 public:
  explicit Changes(std::filesystem::path folder) : folder_(std::move(folder)) {}
  int operator()() const {
    for (const char* name : {"expert_0000.checkpoint", "expert_0001.checkpoint"}) {
      struct stat about {};
      if (stat((folder_ / name).c_str(), &about) == 0 && about.st_ino != last_) {
        last_ = about.st_ino;
        ++seen_;
      }
    }
    return seen_;
  }

 private:
  std::filesystem::path folder_;
  mutable ino_t last_ = 0;
  mutable int seen_ = 0;
};

TEST(Kill, OfExpertsAtRandomPointsEndsInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  ASSERT_EQ(tests::wait_for(tests::start(experts_command(folder, "straight"))), 0);
  RandomStream steps(5, "kill.steps");
  int killed = 0;
  for (int round = 0; round < 4; ++round)
    killed += killed_after(experts_command(folder, "killed"),
                           static_cast<int>(1 + steps.uniform_int(5)), Changes(folder / "killed"));
  EXPECT_GE(killed, 3);
  ASSERT_EQ(tests::wait_for(tests::start(experts_command(folder, "killed"))), 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "straight")) {
    const auto name = entry.path().filename();
    if (name != "records.jsonl" && name != "recipe.toml") {
      expect_same_file(entry.path(), folder / "killed" / name);
    }
  }
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "killed"))
    EXPECT_TRUE(std::filesystem::exists(folder / "straight" / entry.path().filename()))
        << "left behind: " << entry.path();
}

TEST(Kill, OfAReproductionAtRandomPointsEndsInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  tests::write_text(folder / "recipe.toml",
                    "method = \"ftd\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d2\"\n"
                    "iterations = 60\ninner_steps = 3\nexpert_epochs = 1\nmax_start_epoch = 2\n"
                    "image_learning_rate = 10\naverage_decay = 0.9\nprotocol = \"demo\"\n"
                    "experts_count = 2\nexperts_epochs = 3\nexperts_flat = true\n"
                    "published_accuracy = 99.9\n");
  const auto reproduce = [&](const std::string& out) {
    return std::vector<std::string>{"reproduce",  (folder / "recipe.toml").string(),
                                    "--data",     (folder / "data").string(),
                                    "--students", "1",
                                    "--threads",  "1",
                                    "--out",      (folder / out).string()};
  };
  const tests::Answer straight = tests::call(reproduce("straight"));
  ASSERT_EQ(straight.code, 0) << straight.err;
  EXPECT_NE(straight.out.find("not reached"), std::string::npos) << straight.out;
  const auto records = [&] {
    return lines(folder / "killed" / "experts" / "records.jsonl") +
           lines(folder / "killed" / "run" / "records.jsonl");
  };
  RandomStream steps(6, "kill.steps");
  int killed = 0;
  for (int round = 0; round < 4; ++round)
    killed +=
        killed_after(reproduce("killed"), static_cast<int>(1 + steps.uniform_int(12)), records);
  EXPECT_GE(killed, 3);
  ASSERT_EQ(tests::wait_for(tests::start(reproduce("killed"))), 0);
  for (const char* name :
       {"experts/expert_0000.safetensors", "experts/expert_0001.safetensors",
        "run/checkpoint.safetensors", "run/distilled.safetensors", "run/not_averaged.safetensors"})
    expect_same_file(folder / "straight" / name, folder / "killed" / name);
}

}  // namespace
}  // namespace retort
