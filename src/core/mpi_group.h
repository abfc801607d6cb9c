// A group of processes that mpirun or srun has started.
#pragma once

#include <memory>
#include <string>

#include "retort/core/process_group.h"

namespace retort {

/// Whether this build has MPI.
bool has_mpi();

/// The library's name and version, or what a build without it lacks.
std::string mpi_detail();

/// The job that this process was started in; once in a process. ResourceError without MPI.
std::unique_ptr<ProcessGroup> join_mpi();

}  // namespace retort
