// The whole program behind main(), callable from tests.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "cli/command.h"
#include "retort/core/process_group.h"

namespace retort::cli {

/// Runs a command in the group of its environment: all of the processes, where they share its
/// work, else the first alone.
int run_in_group(const Environment& environment, const Command& command,
                 const Arguments& arguments);

/// Runs one command line; returns the exit code. Installs signal handlers for long commands.
int run_program(int argc, char** argv);

/// The same in-process: arguments without the program name, output to the given streams, never a
/// terminal, no signal handlers. Processes of a `group` make the same call.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const ProcessGroup& group = ProcessGroup::alone());

}  // namespace retort::cli
