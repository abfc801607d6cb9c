// Scripts that may use PyTorch and NumPy.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/support.h"

namespace retort::synthetic::tests {

inline constexpr int kNoTorch = 77;

/// Runs a Python script that may use PyTorch and NumPy; kNoTorch where there are none.
inline int python(const std::filesystem::path& script, const std::string& code) {
  if (!std::filesystem::exists("/usr/bin/python3")) return kNoTorch;
  retort::tests::write_text(
      script, "try:\n  import numpy, torch\nexcept ImportError:\n  raise SystemExit(77)\n" + code);
  const int status = std::system(("/usr/bin/python3 '" + script.string() + "'").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RETORT_EXPECT_PYTHON(script, code)                             \
  do {                                                                 \
    const int status = retort::synthetic::tests::python(script, code); \
    if (status == retort::synthetic::tests::kNoTorch)                  \
      GTEST_SKIP() << "/usr/bin/python3 has no torch or numpy";        \
    EXPECT_EQ(status, 0);                                              \
  } while (false)

}  // namespace retort::synthetic::tests
