// How a process learns from its environment that it is one of several: what Open MPI, and Slurm by
// PMIx or PMI-2, set, and what a batch script or a job array sets beside a program that is alone.
#include "cli/launch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

namespace retort::cli {
namespace {

using Variables = std::map<std::string, std::string>;

/// The launch that these variables alone describe.
Launch launch_with(const Variables& variables) {
  static const char* const kAll[] = {
      "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK",   "PMI_RANK", "PMI_SIZE",
      "SLURM_PROCID",         "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};
  for (const char* name : kAll) unsetenv(name);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  const Launch launch = launch_of_environment();
  for (const auto& [name, value] : variables) unsetenv(name.c_str());
  return launch;
}

/// As srun sets it beside whatever starts MPI.
Variables step(const std::string& rank, const std::string& size, Variables with) {
  with.insert({{"SLURM_JOB_ID", "7"},
               {"SLURM_NTASKS", size},
               {"SLURM_STEP_NUM_TASKS", size},
               {"SLURM_PROCID", rank},
               {"SLURM_LOCALID", rank}});
  return with;
}

TEST(Launch, OfOneProcessIsAlone) {
  const Variables array{{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "8"}};
  const Variables script{
      {"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}};
  for (const Variables& variables :
       {Variables{}, array, script, step("0", "1", {{"PMIX_RANK", "0"}}),
        step("0", "1", {{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}),
        Variables{{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}},
        step("2", "8", {})}) {  // srun without MPI: jobs that know nothing of each other
    const Launch launch = launch_with(variables);
    EXPECT_FALSE(launch.several);
    EXPECT_TRUE(launch.first);
    EXPECT_EQ(join(launch)->size(), 1);
    EXPECT_EQ(join(launch)->processors(), 0) << "all that the process may use";
  }
}

TEST(Launch, BySrunOrMpirunIsOneOfSeveral) {
  for (const std::string rank : {"0", "5"})
    for (const Variables& variables :
         {step(rank, "8", {{"PMIX_RANK", rank}}),
          step(rank, "8", {{"PMI_RANK", rank}, {"PMI_SIZE", "8"}}),
          Variables{{"OMPI_COMM_WORLD_RANK", rank}, {"OMPI_COMM_WORLD_SIZE", "8"}}}) {
      const Launch launch = launch_with(variables);
      EXPECT_TRUE(launch.several);
      EXPECT_EQ(launch.first, rank == "0");
    }
}

}  // namespace
}  // namespace retort::cli
