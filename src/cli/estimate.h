// What a command will take, before it is run: --estimate.
#pragma once

#include "cli/command.h"

namespace retort::cli {

/// True for the commands that --estimate goes with.
bool can_estimate(const std::string& command);

/// Says the time, peak memory and disk that the command would take with these arguments, from a few
/// of its steps, and leaves nothing behind; the exit code.
int estimate(const Environment& environment, const Command& command, const Arguments& arguments);

}  // namespace retort::cli
