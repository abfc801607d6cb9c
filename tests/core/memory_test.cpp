#include "core/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

/// The soft limit on this process's address space, restored on destruction.
class AddressLimit {
 public:
  explicit AddressLimit(rlim_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit narrow{bytes, before_.rlim_max};
    setrlimit(RLIMIT_AS, &narrow);
  }
  ~AddressLimit() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

TEST(AvailableMemory, IsNoMoreThanTheMachineHas) {
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_LE(available_memory_bytes(), pages * page);
}

TEST(AvailableMemory, ObeysTheLimitOnTheAddressSpace) {
  int64_t used = 0;
  std::ifstream("/proc/self/statm") >> used;
  used *= sysconf(_SC_PAGESIZE);
  constexpr int64_t kLeft = int64_t{200} << 20, kSlack = int64_t{100} << 20;
  const AddressLimit limit(static_cast<rlim_t>(used + kLeft));
  EXPECT_LE(available_memory_bytes(), kLeft + kSlack);
}

TEST(RequireMemory, NamesWhatIsWantedAndWhatIsThere) {
  require_memory("reading 'a'", 1, "use less");
  tests::expect_error<ResourceError>(
      [] { require_memory("reading 'a'", int64_t{4} << 50, "give a lower --resolution"); },
      {"reading 'a': it takes 4.5e+03 TB of memory", "are free", "what to do: give a lower"});
}

}  // namespace
}  // namespace retort
