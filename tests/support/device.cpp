#include "support/device.h"

#include <cstdlib>
#include <string>

#include "retort/core/device.h"
#include "support/ghost.h"

namespace retort::tests {

at::Device device() {
  const char* const named = std::getenv("RETORT_TEST_DEVICE");
  const std::string text = named ? named : "cpu";
  return text == "ghost" ? ghost_device() : parse_device(text);
}

at::Device other_device() {
  return device().is_cpu() ? ghost_device() : device();
}

}  // namespace retort::tests
