// The device that tests of computing use.
#pragma once

#include <torch/types.h>

namespace retort::tests {

/// What RETORT_TEST_DEVICE names: "cpu" (also where it is not set), "cuda", "cuda:1", or "ghost",
/// the device of support/ghost.h.
at::Device device();

/// The same where that is not the CPU, else the ghost device: what is compared with the CPU.
at::Device other_device();

}  // namespace retort::tests
