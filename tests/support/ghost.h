// A device that is not there: libtorch's spare backend (privateuseone) over memory of its own, so
// that what runs on it has kept to the rules of a GPU. Its tensors' addresses cannot be read by the
// host (reading one ends the program), an operation refuses tensors of two devices as CUDA does,
// and every copy and every read of a value is seen. Its arithmetic is the CPU's.
#pragma once

#include <torch/types.h>

namespace retort::tests {

/// The device; the backend is there from the start of the program.
at::Device ghost_device();

}  // namespace retort::tests
