// Reading a share. No torch here.
#include "retort/core/share.h"

#include <charconv>

#include "retort/core/error.h"

namespace retort {

Share parse_share(const std::string& text) {
  Share share;
  const char* end = text.data() + text.size();
  const auto [slash, problem] = std::from_chars(text.data(), end, share.index);
  const bool parted = problem == std::errc() && slash != end && *slash == '/';
  const auto last = parted ? std::from_chars(slash + 1, end, share.count)
                           : std::from_chars_result{end, std::errc::invalid_argument};
  if (last.ec != std::errc() || last.ptr != end || share.index < 0 || share.index >= share.count)
    throw ConfigError(ErrorMessage{"dealing out the work", "--share is '" + text + "'",
                                   "INDEX/COUNT with INDEX from 0 to COUNT - 1, such as 0/4",
                                   "start one process for each INDEX"});
  return share;
}

}  // namespace retort
