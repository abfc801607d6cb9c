// The whole program behind main(), callable from tests.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace retort::cli {

/// Runs one command line; returns the exit code. Installs signal handlers for long commands.
int run_program(int argc, char** argv);

/// The same in-process: arguments without the program name, output to the given streams, never a
/// terminal, no signal handlers.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace retort::cli
