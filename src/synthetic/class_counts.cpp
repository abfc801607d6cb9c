// Lines of CLASS=COUNT. No torch here.
#include "synthetic/class_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort::synthetic {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

/// The class that a name, an id or an index means; names go first. The number of classes for none.
size_t row_of(const std::string& word, const std::vector<std::string>& names,
              const std::vector<std::string>& ids) {
  for (const auto* list : {&names, &ids})
    if (const auto at = std::find(list->begin(), list->end(), word); at != list->end())
      return to_size(at - list->begin());
  const auto index = whole_number(word);
  const auto count = std::ssize(names);
  return to_size(index && *index >= 0 && *index < count ? *index : count);
}

}  // namespace

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return {};
  return value;
}

std::vector<int64_t> counts_of_lines(const std::string& text, const std::vector<std::string>& names,
                                     const std::vector<std::string>& ids,
                                     std::vector<std::string>& problems) {
  std::vector<int64_t> counts(names.size(), 0);
  size_t number = 0;
  for (size_t from = 0; from < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(from, end - from));
    from = end + 1;
    if (line.empty() || line[0] == '#') continue;
    const size_t equals = line.rfind('=');
    const auto count =
        whole_number(equals == std::string_view::npos ? "" : trimmed(line.substr(equals + 1)));
    if (!count || *count < 1 || *count > kMostOfAClass) {
      problems.push_back(fmt::format("line {}: '{}' is not CLASS=COUNT with a count from 1 to {}",
                                     number + 1, line, kMostOfAClass));
      continue;
    }
    const std::string name(trimmed(line.substr(0, equals)));
    const size_t row = row_of(name, names, ids);
    if (row == names.size()) {
      const std::string near = nearest(name, names);
      problems.push_back(fmt::format("line {}: there is no class '{}'{}", number + 1, name,
                                     near.empty() ? "" : "; did you mean '" + near + "'?"));
    } else if (counts[row] != 0) {
      problems.push_back(fmt::format("line {}: class '{}' is there twice", number + 1, name));
    } else {
      counts[row] = *count;
    }
  }
  for (size_t c = 0; c < names.size(); ++c)
    if (counts[c] == 0) problems.push_back("class '" + names[c] + "' is missing");
  return counts;
}

}  // namespace retort::synthetic
