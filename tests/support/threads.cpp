// RETORT_TEST_THREADS=N runs every test with N threads in libtorch and its BLAS; without it they
// run with what libtorch starts with (OMP_NUM_THREADS; otherwise one on Debian 12, all elsewhere).
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "retort/core/device.h"

namespace {

/// Anew before each test, since a command that ran in-process sets the number for itself.
class Threads : public testing::EmptyTestEventListener {
 public:
  explicit Threads(int count) : count_(count) {}
  void OnTestStart(const testing::TestInfo&) override { retort::use_threads(count_); }

 private:
  int count_;
};

const bool kListens = [] {
  const char* count = std::getenv("RETORT_TEST_THREADS");
  if (count) testing::UnitTest::GetInstance()->listeners().Append(new Threads(std::stoi(count)));
  return count != nullptr;
}();

}  // namespace
