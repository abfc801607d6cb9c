// How mpirun or srun tells a process that it is one of several.
#pragma once

#include <memory>

#include "retort/core/process_group.h"

namespace retort::cli {

/// What the environment says.
struct Launch {
  bool several = false;
  bool first = true;
};

/// By the variables of Open MPI and of the process managers (PMIx, PMI) through which srun starts.
Launch launch_of_environment();

/// The group of the job, or one of one; ResourceError where this build cannot join one.
std::unique_ptr<ProcessGroup> join(const Launch& launch);

/// Where joining failed: the first process tells why, and by its end the launcher ends the others,
/// which wait for that.
void wait_for_the_end(const Launch& launch);

}  // namespace retort::cli
