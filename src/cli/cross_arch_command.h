#pragma once

#include "cli/command.h"

namespace retort::cli {

int run_cross_arch(const Environment& environment, const Arguments& arguments);

}  // namespace retort::cli
