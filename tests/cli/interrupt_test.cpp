// Programs that are asked to stop, lose a file or their memory: they end soon and say why.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "cli/long_runs.h"
#include "cli/small_data.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::appears, tests::command, tests::has_ended;
using tests::TempFolder;

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
