// Several processes of one job, by a real mpirun: the same bytes for any number of them, and what
// happens where one of them is lost, stopped or cannot go on.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include "cli/long_runs.h"
#include "cli/small_data.h"
#include "core/mpi_group.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::TempFolder;
using Words = std::vector<std::string>;

const char* const kDriver = RETORT_BUILD_DIR "/tests/retort_mpi_driver";
const char* const kProgram = RETORT_BUILD_DIR "/retort";

/// More processes than processors, as root, on one machine without ssh: for tests alone. Open MPI 5
/// reads the names with PRTE.
void allow_small_machines() {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
           {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
           {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
           {"OMPI_MCA_hwloc_base_binding_policy", "none"},
           {"OMPI_MCA_mpi_yield_when_idle", "1"},
           {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
           {"PRTE_MCA_hwloc_default_binding_policy", "none"},
           {"OMPI_MCA_plm", "isolated"},
           {"OMPI_MCA_btl", "self,vader"}})
    setenv(name.c_str(), value.c_str(), 0);
}

pid_t start_job(int processes, const Words& command, const fs::path& err) {
  Words words{"mpirun", "-n", std::to_string(processes)};
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t child = -1;
  posix_spawnp(&child, "mpirun", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

/// Where MPI and mpirun are there.
class Mpi : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_mpi()) GTEST_SKIP() << "this build has no MPI";
    if (std::system("command -v mpirun > /dev/null") != 0) GTEST_SKIP() << "there is no mpirun";
    allow_small_machines();
    tests::write_small_data(folder_ / "data");
  }
  /// Runs a job to its end; its exit code.
  int run(int processes, const Words& command) {
    return tests::wait_for(start_job(processes, command, folder_ / "err"));
  }
  std::string said() const { return tests::read_text(folder_ / "err"); }
  Words program(Words words) const {
    words.insert(words.begin(), kProgram);
    return words;
  }

  TempFolder folder_;
};

/// The process of a rank, among the children of mpirun; waits until it is there.
pid_t process_of(pid_t mpirun, int rank) {
  const std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  for (int tries = 0; tries < 1000; ++tries) {
    const std::string task = "/proc/" + std::to_string(mpirun) + "/task/" + std::to_string(mpirun);
    std::istringstream children(tests::read_text(task + "/children"));
    for (std::string pid; children >> pid;) {
      const std::string all = tests::read_text("/proc/" + pid + "/environ");
      if (all.find(wanted + '\0') != std::string::npos) return std::stoi(pid);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "mpirun has no process " << rank;
  return -1;
}

/// Records without what may differ: times, memory, dates and the number of processes.
std::string comparable(const fs::path& path) {
  std::string all;
  for (Json record : read_records(path)) {
    for (const char* key : {"seconds", "peak_memory_bytes", "date", "processes"}) record.erase(key);
    if (record.contains("results"))
      for (Json& result : record["results"]) result.erase("seconds");
    all += json_text(record) + "\n";
  }
  return all;
}

/// Everything under a folder that is to be the same, by its path in it.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path path = entry.path();
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(path, folder).string();
    if (path.extension() == ".jsonl")
      all[name] = comparable(path);
    else if (path.extension() == ".safetensors" || path.extension() == ".png")
      all[name] = tests::read_text(path);
    else
      all[name];  // that it is there
  }
  return all;
}

/// A command for every kind of share.
std::string lines(const fs::path& folder, const std::string& out) {
  return tests::in_full(
      "distill --method dm RUN --images-per-class 2 --out OUT/dm\n"
      "distill --method dm RUN --images-per-class 1 --parametrisation frequency --out OUT/dmf\n"
      "distill --method dm RUN --images-per-class 1 --seeds 0,1 --out OUT/seeds\n"
      "distill --method dc RUN --images-per-class 2 --outer-loop 2 --inner-loop 1 --out OUT/dc\n"
      "distill --method dsa RUN --images-per-class 1 --outer-loop 2 --out OUT/dsa\n"
      "eval OUT/dm --data DATA --students 3 --evaluation-epochs 3 --networks mlp-w8,convnet-w4-d2 "
      "--threads 1\n"
      "distill --method sre2l --data DATA --network convnet-w4-d2-bn --images-per-class 2 "
      "--group-size 4 --iterations 5 --checkpoint-every 2 --protocol frozen --teacher TEACHER "
      "--threads 1 --out OUT/sre2l\n"
      "relabel OUT/sre2l --teacher TEACHER --evaluation-epochs 5 --threads 1\n"
      "eval OUT/sre2l --data DATA --students 2 --evaluation-epochs 2 --random-baseline=no "
      "--threads 1\n"
      "distill --method rded --data DATA --images-per-class 1 --candidates 5 --teacher TEACHER "
      "--threads 1 --out OUT/rded\n"
      "experts --data DATA --network mlp-w8 --count 3 --epochs 3 --threads 1 --out OUT/experts\n"
      "distill --method mtt --experts OUT/experts --trajectories-per-step 3 --network mlp-w8 "
      "--inner-steps 3 --expert-epochs 1 --max-start-epoch 2 --images-per-class 1 --data DATA "
      "--iterations 4 --threads 1 --out OUT/mtt\n"
      "experts --data DATA --network convnet-w4-d2 --count 2 --epochs 2 --threads 1 --out "
      "OUT/convnets\n"
      "distill --method ncfm POOL --frequency-arguments 40 --out OUT/ncfm\n"
      "distill --method tgdd POOL --parametrisation multiformation --images-per-class 1 --out "
      "OUT/tgdd\n"
      "distill --method infmatch POOL --directions 20 --images-per-class 1 --out OUT/infmatch\n"
      "distill --method cafe RUN --images-per-class 1 --watched 2 --max-matching-steps 2 "
      "--max-inner-epochs 2 --query-images 3 --out OUT/cafe\n"
      "distill --method cim --data DATA --network convnet-w4-d2-bn --images-per-class 2 "
      "--iterations 4 --augmentation none --anchor-candidates 5 --parametrisation multiformation "
      "--teacher TEACHER --threads 1 --out OUT/cim\n"
      "distill --method frepo RUN --images-per-class 1 --pool-size 2 --out OUT/frepo\n"
      "distill --method kcenter --data DATA --network convnet-w4-d2 --images-per-class 2 "
      "--selection-epochs 1 --threads 1 --out OUT/kcenter\n"
      "continual --stream rotations --tasks 2 --samples-per-task 40 --memory 20 --orders 3 "
      "--network mlp-w8 --evaluation-epochs 3 --method dm --iterations 4 --real-batch 4 "
      "--threads 1 --data DATA --out OUT/stream\n",
      {{"POOL", "RUN --network convnet-w4-d2 --images-per-class 2 --experts OUT/convnets"},
       {"RUN",
        "--data DATA --network convnet-w8-d2 --iterations 5 --real-batch 4 --checkpoint-every 2 "
        "--record-every 1 --threads 1"},
       {"TEACHER", (folder / "t" / "teacher.safetensors").string()},
       {"DATA", (folder / "data").string()},
       {"OUT", (folder / out).string()}});
}

TEST_F(Mpi, AnyNumberOfProcessesGivesTheSameBytes) {
  const tests::Answer made = tests::call({"squeeze", "--data", (folder_ / "data").string(),
                                          "--network", "convnet-w4-d2-bn", "--epochs", "1",
                                          "--threads", "1", "--out", (folder_ / "t").string()});
  ASSERT_EQ(made.code, 0) << made.err;
  for (const int processes : {1, 2, 4}) {
    const std::string out = "of" + std::to_string(processes);
    tests::write_text(folder_ / "lines", lines(folder_.path(), out));
    ASSERT_EQ(run(processes, {kDriver, (folder_ / "lines").string()}), 0) << said();
  }
  const auto one = contents(folder_ / "of1");
  EXPECT_GT(one.size(), 45U);
  for (const char* out : {"of2", "of4"}) {
    const auto several = contents(folder_ / out);
    EXPECT_EQ(several.size(), one.size());
    for (const auto& [name, bytes] : one) {
      ASSERT_TRUE(several.contains(name)) << out << "/" << name;
      EXPECT_TRUE(several.at(name) == bytes) << out << "/" << name << " has other bytes";
    }
  }
}

TEST_F(Mpi, NetworksOfASearchAreDealtOutWithTheSameTable) {
  std::string one;
  for (const int processes : {1, 2, 4}) {
    const fs::path out = folder_ / ("of" + std::to_string(processes));
    const Words search = program({"search",
                                  "--data",
                                  (folder_ / "data").string(),
                                  "--depths",
                                  "1",
                                  "--widths",
                                  "4,8",
                                  "--norms",
                                  "gn,bn",
                                  "--activations",
                                  "relu",
                                  "--poolings",
                                  "avgpool",
                                  "--images-per-class",
                                  "1",
                                  "--epochs",
                                  "2",
                                  "--whole-set-epochs",
                                  "1",
                                  "--tops",
                                  "3",
                                  "--threads",
                                  "1",
                                  "--out",
                                  out.string()});
    ASSERT_EQ(run(processes, search), 0) << said();
    const std::string table = tests::read_text(out / "search.csv");
    if (one.empty()) one = table;
    EXPECT_EQ(table, one) << processes << " processes";
  }
}

TEST_F(Mpi, CallsGiveItemsInOrderAndTellOfAFailure) {
  for (const int processes : {1, 4}) EXPECT_EQ(run(processes, {kDriver, "calls"}), 0) << said();
}

TEST_F(Mpi, ALostProcessEndsTheJobAndAnotherNumberGoesOn) {
  const int iterations = 60;
  ASSERT_EQ(tests::wait_for(tests::start(tests::command(folder_, "straight", iterations))), 0);
  const auto records = [&] { return tests::lines(folder_ / "killed" / "records.jsonl"); };
  const pid_t job =
      start_job(2, program(tests::command(folder_, "killed", iterations)), folder_ / "err");
  tests::wait_for_steps(job, 5, records);
  ASSERT_FALSE(tests::has_ended(job)) << said();
  kill(process_of(job, 1), SIGKILL);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(tests::wait_for(job), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_NE(said().find("rank 1"), std::string::npos) << said();
  EXPECT_FALSE(fs::exists(folder_ / "killed" / "distilled.safetensors"));
  ASSERT_EQ(run(4, program(tests::command(folder_, "killed", iterations))), 0) << said();
  EXPECT_EQ(contents(folder_ / "straight"), contents(folder_ / "killed"));
}

TEST_F(Mpi, AStopOfOneProcessIsAgreedByAll) {
  const Words command = tests::command(folder_, "stopped", 5000);
  const pid_t job = start_job(2, program(command), folder_ / "err");
  const auto records = [&] { return tests::lines(folder_ / "stopped" / "records.jsonl"); };
  tests::wait_for_steps(job, 5, records);
  ASSERT_FALSE(tests::has_ended(job)) << said();
  kill(process_of(job, 1), SIGTERM);
  EXPECT_EQ(tests::wait_for(job), 130) << said();
  EXPECT_NE(said().find("give the same command to go on"), std::string::npos) << said();
  EXPECT_TRUE(fs::exists(folder_ / "stopped" / "checkpoint.safetensors"));
}

TEST_F(Mpi, AnErrorIsSaidOnce) {
  EXPECT_EQ(run(2, program({"distill", "--method", "dm", "--data", (folder_ / "none").string(),
                            "--iterations", "1", "--out", (folder_ / "run").string()})),
            3);
  const std::string text = said(), message = "retort: reading";
  const size_t first = text.find(message);
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find(message, first + 1), std::string::npos) << text;
  EXPECT_EQ(text.find("process 0 of 2"), std::string::npos) << text;
}

TEST_F(Mpi, WorkOfOneProcessIsDoneOnce) {
  ASSERT_EQ(run(2, program({"list", "parts"})), 0) << said();
  ASSERT_EQ(
      run(2, program({"squeeze", "--data", (folder_ / "data").string(), "--network",
                      "convnet-w4-d2-bn", "--epochs", "1", "--out", (folder_ / "t").string()})),
      0)
      << said();
  EXPECT_TRUE(fs::exists(folder_ / "t" / "teacher.safetensors"));
}

}  // namespace
}  // namespace retort
