// libFuzzer's entry; RETORT_FUZZ_TARGET names the target. No torch here.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const retort::fuzz::Target& target : retort::fuzz::kTargets)
    if (std::strcmp(target.name, RETORT_FUZZ_TARGET) == 0)
      retort::fuzz::accepts(target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
