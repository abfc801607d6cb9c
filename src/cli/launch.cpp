#include "cli/launch.h"

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "core/mpi_group.h"

namespace retort::cli {
namespace {

/// The first of these variables that is set, or empty. SLURM's own are no sign: they are set beside
/// a program that a batch script starts by itself, too.
std::string any_of(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* text = std::getenv(name)) return text;
  return {};
}

}  // namespace

Launch launch_of_environment() {
  const std::string rank = any_of({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"});
  const std::string size = any_of({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"});
  return {!rank.empty() && size != "1", rank.empty() || rank == "0"};
}

std::unique_ptr<ProcessGroup> join(const Launch& launch) {
  return launch.several ? join_mpi() : std::make_unique<ProcessGroup>();
}

void wait_for_the_end(const Launch& launch) {
  if (!launch.first) std::this_thread::sleep_for(std::chrono::seconds(5));
}

}  // namespace retort::cli
