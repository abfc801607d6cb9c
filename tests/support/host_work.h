// What a device waits for the host for: counted by libtorch's own record of every operation.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>

namespace retort::tests {

/// Counts while it lives, in all threads.
class HostWork {
 public:
  HostWork();
  HostWork(const HostWork&) = delete;
  HostWork& operator=(const HostWork&) = delete;
  ~HostWork();

  struct Counts {
    int64_t reads = 0;      ///< of single values (item)
    int64_t to_host = 0;    ///< copies of tensors from the device
    int64_t to_device = 0;  ///< and to it
    int64_t sizes = 0;      ///< operations whose result's size the host must know: nonzero, masks
    int64_t operations = 0;
  };
  Counts counts() const;

 private:
  uint64_t handle_;
};

}  // namespace retort::tests
