// What a command will take, before it is run: --estimate.
#pragma once

#include <cstdint>
#include <string>

#include "cli/command.h"

namespace retort::cli {

/// What a command will take; disk is what stays.
struct Expected {
  double seconds = 0;
  int64_t disk_bytes = 0;
};

/// "2 h 05 min, 900 MB of memory, 12 MB on disk"; the memory is this process's peak so far.
std::string in_words(const Expected& expected);

/// True for the commands that --estimate goes with.
bool can_estimate(const std::string& command);

/// Says the time, peak memory and disk that the command would take with these arguments, from a few
/// of its steps, and leaves nothing behind; the exit code.
int estimate(const Environment& environment, const Command& command, const Arguments& arguments);

}  // namespace retort::cli
