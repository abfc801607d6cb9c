#include "methods/decoupled/groups.h"

#include <algorithm>

#include "core/sizes.h"

namespace retort::methods {
namespace {

using Rows = std::vector<int64_t>;

/// The rows that may stand in one group, one list after the other.
std::vector<Rows> candidates(const std::vector<int64_t>& offsets, const std::string& grouping) {
  std::vector<Rows> lists;
  const size_t classes = offsets.size() - 1;
  if (grouping == "mixed") {
    Rows all;
    for (int64_t row = 0; row < offsets.back(); ++row) all.push_back(row);
    return {all};
  }
  int64_t most = 0;
  for (size_t c = 0; c < classes; ++c) most = std::max(most, offsets[c + 1] - offsets[c]);
  const bool class_wise = grouping == "class_wise";
  lists.resize(class_wise ? classes : to_size(most));
  for (size_t c = 0; c < classes; ++c)
    for (int64_t row = offsets[c]; row < offsets[c + 1]; ++row)
      lists[class_wise ? c : to_size(row - offsets[c])].push_back(row);
  return lists;
}

}  // namespace

std::vector<Rows> make_groups(const std::vector<int64_t>& offsets, const std::string& grouping,
                              int64_t size) {
  std::vector<Rows> groups;
  for (const Rows& rows : candidates(offsets, grouping))
    for (size_t begin = 0; begin < rows.size(); begin += to_size(size)) {
      const size_t end = std::min(begin + to_size(size), rows.size());
      groups.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                          rows.begin() + static_cast<std::ptrdiff_t>(end));
    }
  return groups;
}

}  // namespace retort::methods
