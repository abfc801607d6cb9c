#include "cli/program.h"

#include <ostream>

namespace retort::cli {

int run_program(int, char**) { return 1; }

int run(const std::vector<std::string>&, std::ostream&, std::ostream&) { return 1; }

}  // namespace retort::cli
