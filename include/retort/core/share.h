// How work is dealt out over the processes of one job. The local form does nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort {

/// Process `index` of `count`. Items are dealt round-robin and gathered in item order, so one
/// process and many give the same result.
struct Share {
  int64_t index = 0;
  int64_t count = 1;

  /// The items of 0..total-1 that are this process's.
  std::vector<int64_t> items(int64_t total) const {
    std::vector<int64_t> mine;
    for (int64_t i = index; i < total; i += count) mine.push_back(i);
    return mine;
  }
  /// All items' values in item order, on every process, from each one's own.
  template <class Value>
  std::vector<Value> gather(std::vector<Value> mine) const {
    return mine;
  }
};

/// Reads "INDEX/COUNT", such as 0/4 to 3/4; ConfigError on anything else.
Share parse_share(const std::string& text);

}  // namespace retort
