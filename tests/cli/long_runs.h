// Runs of a process of their own that are stopped on the way.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/invoke.h"
#include "support/support.h"

namespace retort::tests {

inline std::vector<std::string> command(const TempFolder& folder, const std::string& out,
                                        int iterations) {
  return {"distill",
          "--method",
          "dm",
          "--data",
          (folder / "data").string(),
          "--images-per-class",
          "1",
          "--network",
          "convnet-w8-d2",
          "--iterations",
          std::to_string(iterations),
          "--real-batch",
          "4",
          "--checkpoint-every",
          "3",
          "--record-every",
          "2",
          "--threads",
          "1",
          "--out",
          (folder / out).string()};
}

/// Waits for a file that the process writes; a failure where it ended or a minute passed before.
inline ::testing::AssertionResult appears(const std::filesystem::path& path, pid_t child) {
  const auto last = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!std::filesystem::exists(path)) {
    if (has_ended(child))
      return ::testing::AssertionFailure()
             << "the program ended with " << wait_for(child) << " before it wrote " << path;
    if (std::chrono::steady_clock::now() > last) {
      kill(child, SIGKILL);
      wait_for(child);
      return ::testing::AssertionFailure() << "after a minute there is no " << path;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return ::testing::AssertionSuccess();
}

}  // namespace retort::tests
