// A run that is killed at random moments ends in the same bytes as one that was left alone.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "cli/invoke.h"
#include "cli/small_data.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::TempFolder;

std::vector<std::string> command(const TempFolder& folder, const std::string& out, int iterations) {
  return {"distill",
          "--method",
          "dm",
          "--data",
          (folder / "data").string(),
          "--images-per-class",
          "1",
          "--network",
          "convnet-w8-d2",
          "--iterations",
          std::to_string(iterations),
          "--real-batch",
          "4",
          "--checkpoint-every",
          "3",
          "--record-every",
          "2",
          "--threads",
          "1",
          "--out",
          (folder / out).string()};
}

/// Records without what may differ: time and memory.
std::vector<Json> comparable(const std::filesystem::path& path) {
  std::vector<Json> records = read_records(path);
  for (Json& record : records)
    for (const char* key : {"seconds", "peak_memory_bytes"}) record.erase(key);
  return records;
}

TEST(Kill, AtRandomMomentsEndsInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const int iterations = 300;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(tests::wait_for(tests::start(command(folder, "straight", iterations))), 0);
  const double whole =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Stream moments(4, "kill.moments");
  int killed = 0;
  for (int round = 0; round < 200 && killed < 20; ++round) {
    if (std::filesystem::exists(folder / "killed" / "distilled.safetensors"))
      std::filesystem::rename(folder / "killed", folder / ("done" + std::to_string(round)));
    const pid_t child = tests::start(command(folder, "killed", iterations));
    std::this_thread::sleep_for(std::chrono::duration<double>(moments.uniform(0.3, 1.0) * whole));
    kill(child, SIGKILL);
    if (tests::wait_for(child) == -SIGKILL) ++killed;
  }
  EXPECT_EQ(killed, 20);
  ASSERT_EQ(tests::wait_for(tests::start(command(folder, "killed", iterations))), 0);
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors", "images/final.png",
                           "images/initial.png"})
    if (std::filesystem::exists(folder / "straight" / name)) {
      EXPECT_EQ(tests::read_text(folder / "straight" / name),
                tests::read_text(folder / "killed" / name))
          << name;
    }
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("done")) {
      EXPECT_EQ(tests::read_text(folder / "straight" / "distilled.safetensors"),
                tests::read_text(entry.path() / "distilled.safetensors"));
    }
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

TEST(Kill, OfAStreamAtRandomMomentsEndsInTheSameRecords) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(tests::wait_for(tests::start(continual_command(folder, "straight"))), 0);
  const double whole =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Stream moments(6, "kill.moments");
  int killed = 0;
  for (int round = 0; round < 4; ++round) {
    const pid_t child = tests::start(continual_command(folder, "killed"));
    std::this_thread::sleep_for(std::chrono::duration<double>(moments.uniform(0.5, 0.9) * whole));
    kill(child, SIGKILL);
    if (tests::wait_for(child) == -SIGKILL) ++killed;
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(tests::wait_for(tests::start(continual_command(folder, "killed"))), 0);
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
  for (const char* name : {"report.html", "dm/order1/task2/distilled.safetensors"})
    EXPECT_EQ(tests::read_text(folder / "straight" / name),
              tests::read_text(folder / "killed" / name))
        << name;
}

std::vector<std::string> experts_command(const TempFolder& folder, const std::string& out) {
  return {"experts",     "--data",       (folder / "data").string(),
          "--network",   "mlp",          "--count",
          "2",           "--epochs",     "15",
          "--flat",      "--batch-size", "20",
          "--snapshots", "float16",      "--threads",
          "1",           "--out",        (folder / out).string()};
}

TEST(Kill, OfExpertsAtRandomMomentsEndsInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(tests::wait_for(tests::start(experts_command(folder, "straight"))), 0);
  const double whole =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Stream moments(5, "kill.moments");
  int killed = 0;
  for (int round = 0; round < 4; ++round) {
    const pid_t child = tests::start(experts_command(folder, "killed"));
    std::this_thread::sleep_for(std::chrono::duration<double>(moments.uniform(0.5, 0.9) * whole));
    kill(child, SIGKILL);
    if (tests::wait_for(child) == -SIGKILL) ++killed;
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(tests::wait_for(tests::start(experts_command(folder, "killed"))), 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "straight")) {
    const auto name = entry.path().filename();
    if (name != "records.jsonl" && name != "recipe.toml") {
      EXPECT_EQ(tests::read_text(entry.path()), tests::read_text(folder / "killed" / name)) << name;
    }
  }
  EXPECT_EQ(comparable(folder / "straight" / "records.jsonl"),
            comparable(folder / "killed" / "records.jsonl"));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "killed"))
    EXPECT_TRUE(std::filesystem::exists(folder / "straight" / entry.path().filename()))
        << "left behind: " << entry.path();
}

TEST(Kill, OfAReproductionAtRandomMomentsEndsInTheSameBytes) {
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
  const auto begin = std::chrono::steady_clock::now();
  const tests::Answer straight = tests::call(reproduce("straight"));
  const double whole =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() + 0.7;
  ASSERT_EQ(straight.code, 0) << straight.err;
  EXPECT_NE(straight.out.find("not reached"), std::string::npos) << straight.out;
  Stream moments(6, "kill.moments");
  int killed = 0;
  for (int round = 0; round < 4; ++round) {
    const pid_t child = tests::start(reproduce("killed"));
    std::this_thread::sleep_for(std::chrono::duration<double>(moments.uniform(0.3, 0.7) * whole));
    kill(child, SIGKILL);
    if (tests::wait_for(child) == -SIGKILL) ++killed;
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(tests::wait_for(tests::start(reproduce("killed"))), 0);
  for (const char* name : {"experts/expert_0000.safetensors", "experts/expert_0001.safetensors",
                           "run/checkpoint.safetensors", "run/distilled.safetensors"})
    EXPECT_EQ(tests::read_text(folder / "straight" / name),
              tests::read_text(folder / "killed" / name))
        << name;
}

TEST(Interrupt, WritesACheckpointAndSaysHowToGoOn) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const pid_t child = tests::start(command(folder, "run", 1000000));
  while (!std::filesystem::exists(folder / "run" / "checkpoint.safetensors"))
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  kill(child, SIGINT);
  EXPECT_EQ(tests::wait_for(child), 130);
  EXPECT_FALSE(std::filesystem::exists(folder / "run" / "distilled.safetensors"));
}

}  // namespace
}  // namespace retort
