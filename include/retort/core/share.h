// How work is dealt out over the processes of one job, and over jobs that know nothing of each
// other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort {

class ProcessGroup;

/// Part `index` of `count` of any number of items: the same number of items one after the other,
/// but for one more or less. What all parts hold, one after the other, are all items in order.
struct Share {
  int64_t index = 0;
  int64_t count = 1;

  /// The items of 0..total-1 that are in this part are begin(total)..end(total)-1.
  int64_t begin(int64_t total) const { return total * index / count; }
  int64_t end(int64_t total) const { return total * (index + 1) / count; }
  std::vector<int64_t> items(int64_t total) const;
  /// The part of this part that is one process's of a group.
  Share within(const ProcessGroup& group) const;
};

/// Reads "INDEX/COUNT", such as 0/4 to 3/4; ConfigError on anything else.
Share parse_shard(const std::string& text);

}  // namespace retort
