// Free memory of the machine, of control groups and of resource limits. No torch here.
#include "core/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>

#include "retort/core/error.h"
#include "retort/core/progress.h"

namespace retort {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// The number behind a word, such as "MemAvailable:", in a file of such lines.
std::optional<int64_t> number_behind(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with(word)) {
      char* end = nullptr;
      const char* start = line.c_str() + word.size();
      const int64_t value = std::strtoll(start, &end, 10);
      if (end != start) return value;
    }
  return {};
}

/// The names of a control group's files, which differ between versions 1 and 2.
struct GroupFiles {
  const char *limit, *used, *reclaimable;
};

/// What one group leaves: pages of files that can be dropped count as free.
int64_t left_in(const std::string& folder, const GroupFiles& files) {
  const auto limit = number_behind(folder + files.limit, ""),
             used = number_behind(folder + files.used, "");
  if (!limit || !used) return kUnlimited;  // "max", or no such group
  const int64_t cached = number_behind(folder + "/memory.stat", files.reclaimable).value_or(0);
  return std::max<int64_t>(*limit - (*used - std::min(cached, *used)), 0);
}

/// The least of a group and of those around it.
int64_t left_in_all(const std::string& root, std::string group, const GroupFiles& files) {
  int64_t least = left_in(root, files);
  while (group.size() > 1) {
    least = std::min(least, left_in(root + group, files));
    group.erase(group.rfind('/'));
  }
  return least;
}

/// Lines of /proc/self/cgroup are "0::/group" (version 2) and "4:memory:/group" (version 1).
int64_t groups_leave() {
  int64_t least = kUnlimited;
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string kinds = "," + line.substr(first + 1, second - first - 1) + ",",
                      group = line.substr(second + 1);
    if (kinds == ",,")
      least = std::min(least, left_in_all("/sys/fs/cgroup", group,
                                          {"/memory.max", "/memory.current", "inactive_file "}));
    if (kinds.find(",memory,") != std::string::npos)
      least = std::min(least, left_in_all("/sys/fs/cgroup/memory", group,
                                          {"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                           "total_inactive_file "}));
  }
  return least;
}

int64_t address_space_left() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  const auto pages = number_behind("/proc/self/statm", "");
  const int64_t used = pages.value_or(0) * sysconf(_SC_PAGESIZE);
  return std::max<int64_t>(static_cast<int64_t>(limit.rlim_cur) - used, 0);
}

}  // namespace

int64_t available_memory_bytes() {
  constexpr int64_t kKilobyte = 1024;
  const auto free = number_behind("/proc/meminfo", "MemAvailable:");
  return std::min({free ? *free * kKilobyte : kUnlimited, groups_leave(), address_space_left()});
}

void require_memory(const std::string& doing, int64_t bytes, const std::string& advice) {
  const int64_t free = available_memory_bytes();
  if (bytes <= free) return;
  throw ResourceError(ErrorMessage{
      doing,
      fmt::format("it takes {} of memory, {} are free", format_bytes(bytes), format_bytes(free)),
      {},
      advice});
}

}  // namespace retort
