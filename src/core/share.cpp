#include "retort/core/share.h"

#include <charconv>

#include "retort/core/error.h"
#include "retort/core/process_group.h"

namespace retort {

std::vector<int64_t> Share::items(int64_t total) const {
  std::vector<int64_t> mine;
  for (int64_t i = begin(total); i < end(total); ++i) mine.push_back(i);
  return mine;
}

Share Share::within(const ProcessGroup& group) const {
  return {index * group.size() + group.rank(), count * group.size()};
}

Share parse_shard(const std::string& text) {
  constexpr int64_t kMost = 1'000'000;  // items times parts stay far below 2^63
  Share share;
  const char* end = text.data() + text.size();
  const auto [slash, problem] = std::from_chars(text.data(), end, share.index);
  const bool parted = problem == std::errc() && slash != end && *slash == '/';
  const auto last = parted ? std::from_chars(slash + 1, end, share.count)
                           : std::from_chars_result{end, std::errc::invalid_argument};
  if (last.ec != std::errc() || last.ptr != end || share.index < 0 || share.index >= share.count ||
      share.count > kMost)
    throw ConfigError(ErrorMessage{"dealing out the work", "--shard is '" + text + "'",
                                   "INDEX/COUNT with INDEX from 0 to COUNT - 1, such as 0/4",
                                   "start one job for each INDEX"});
  return share;
}

}  // namespace retort
