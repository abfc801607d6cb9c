// What a signal does, and an error that nobody can catch.
#pragma once

#include "retort/core/stop.h"

namespace retort::cli {

struct Handling {
  bool json = false;   ///< an error is told on standard output too
  bool quiet = false;  ///< of a stop another process of the job speaks
};

/// Installs the handlers of the program. The flag asks long commands to stop.
StopFlag& install_handlers(const Handling& how);

}  // namespace retort::cli
