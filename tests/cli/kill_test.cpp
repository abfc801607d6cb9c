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

#include "cli/invoke.h"
#include "cli/small_data.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::has_ended;
using tests::killed_after;
using tests::lines;
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

/// Waits for a file that the process writes; a failure where it ended or a minute passed before.
::testing::AssertionResult appears(const std::filesystem::path& path, pid_t child) {
  const auto last = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!std::filesystem::exists(path)) {
    if (has_ended(child))
      return ::testing::AssertionFailure()
             << "the program ended with " << tests::wait_for(child) << " before it wrote " << path;
    if (std::chrono::steady_clock::now() > last) {
      kill(child, SIGKILL);
      tests::wait_for(child);
      return ::testing::AssertionFailure() << "after a minute there is no " << path;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return ::testing::AssertionSuccess();
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
  for (const char* name : {"experts/expert_0000.safetensors", "experts/expert_0001.safetensors",
                           "run/checkpoint.safetensors", "run/distilled.safetensors"})
    expect_same_file(folder / "straight" / name, folder / "killed" / name);
}

TEST(Interrupt, ATestOfAProgramThatEndsEarlySaysSo) {
  TempFolder folder;
  const pid_t child = tests::start({"distill", "--no-such-option"});
  const auto found = appears(folder / "run" / "checkpoint.safetensors", child);
  EXPECT_FALSE(found);
  EXPECT_STREQ(std::string(found.message()).substr(0, 25).c_str(), "the program ended with 2 ");
}

TEST(Interrupt, WritesACheckpointAndSaysHowToGoOn) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const pid_t child = tests::start(command(folder, "run", 1000000));
  ASSERT_TRUE(appears(folder / "run" / "checkpoint.safetensors", child));
  kill(child, SIGINT);
  EXPECT_EQ(tests::wait_for(child), 130);
  EXPECT_FALSE(std::filesystem::exists(folder / "run" / "distilled.safetensors"));
}

/// Waits for the end of a process that was asked to stop; seconds.
double seconds_to_end(pid_t child, int signal) {
  const auto begin = std::chrono::steady_clock::now();
  kill(child, signal);
  EXPECT_EQ(tests::wait_for(child), 130);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(Interrupt, IsHeardWithinASecondWhereNothingLooksAtTheFlag) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  ASSERT_EQ(tests::call({"distill", "--method", "random", "--data", (folder / "data").string(),
                         "--network", "convnet-w8-d2", "--images-per-class", "1", "--threads", "1",
                         "--out", (folder / "set").string()})
                .code,
            0);
  ASSERT_EQ(tests::call({"experts", "--data", (folder / "data").string(), "--network",
                         "convnet-w8-d2", "--count", "1", "--epochs", "2", "--threads", "1",
                         "--out", (folder / "experts").string()})
                .code,
            0);
  const std::vector<std::vector<std::string>> commands{
      {"study", "--experts", (folder / "experts").string(), "--data", (folder / "data").string(),
       "--network", "convnet-w8-d2", "--rounds", "1000000", "--out",
       (folder / "study.html").string()},
      {"eval", (folder / "set").string(), "--data", (folder / "data").string(),
       "--evaluation-epochs", "1000000"}};
  for (const auto& words : commands) {
    const auto err = (folder / (words[0] + ".txt")).string();
    const pid_t child = tests::start(words, err);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // it is at work by then
    ASSERT_FALSE(has_ended(child))
        << words[0] << " ended with " << tests::wait_for(child) << ": " << tests::read_text(err);
    // A second for the program, and what a busy machine adds.
    EXPECT_LT(seconds_to_end(child, words[0] == "eval" ? SIGTERM : SIGINT), 2.5) << words[0];
    EXPECT_NE(tests::read_text(err).find("stopped"), std::string::npos) << tests::read_text(err);
  }
}

TEST(Mapped, AFileThatIsCutDuringTheRunIsNamed) {
  TempFolder folder;
  const auto pack = folder / "shapes.pack";
  ASSERT_EQ(tests::call({"pack", "shapes", pack.string()}).code, 0);
  const auto err = (folder / "err.txt").string();
  const pid_t child = tests::start(
      {"distill", "--method", "dm", "--data", pack.string(), "--images-per-class", "1", "--network",
       "convnet-w8-d2", "--iterations", "1000000", "--real-batch", "16", "--checkpoint-every", "5",
       "--threads", "1", "--out", (folder / "run").string()},
      err);
  ASSERT_TRUE(appears(folder / "run" / "checkpoint.safetensors", child)) << tests::read_text(err);
  std::filesystem::resize_file(pack, 50000);
  EXPECT_EQ(tests::wait_for(child), 3);
  EXPECT_NE(tests::read_text(err).find("shapes.pack: it was cut short"), std::string::npos)
      << tests::read_text(err);
}

TEST(OutOfMemory, EndsTheProgramAtOnce) {
  TempFolder folder;
  const std::string program = std::string(RETORT_BUILD_DIR) + "/retort";
  for (const char* kilobytes : {"1000000"}) {
    const std::string line =
        "ulimit -v " + std::string(kilobytes) + "; timeout -s KILL 120 " + program +
        " distill --method dm --data shapes --images-per-class 100 --iterations 3 --real-batch 2000"
        " --network convnet --threads 2 --out " +
        (folder / kilobytes).string() + " 2> " + (folder / "err").string() + " > /dev/null";
    const int status = std::system(line.c_str());
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 4) << kilobytes << ": " << tests::read_text(folder / "err");
    EXPECT_NE(tests::read_text(folder / "err").find("memory"), std::string::npos);
  }
}

TEST(Terminal, GetsNoControlCharactersOfNames) {
  TempFolder folder;
  for (const char* name : {"red\033[31m", "\302\233blue"})
    for (int i = 0; i < 2; ++i)
      tests::write_text(folder / "set" / name / (std::to_string(i) + ".png"), "no picture");
  const tests::Answer answer = tests::call({"data", (folder / "set").string()});
  EXPECT_NE(answer.code, 0);
  EXPECT_NE(answer.err.find("red\\x1b[31m"), std::string::npos) << answer.err;
  EXPECT_EQ(answer.err.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace retort
