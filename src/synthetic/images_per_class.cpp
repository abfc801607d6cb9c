// How many images each class gets: one number, a share of a total, or a file of CLASS=COUNT lines.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string_view>

#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {
namespace {

constexpr std::string_view kProportional = "proportional:";
constexpr size_t kMostProblems = 20;
constexpr int64_t kMostOfAClass = 1'000'000;  // products with pixels stay far below 2^63
constexpr uint64_t kLargestFile = uint64_t{1} << 24;

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return {};
  return value;
}

/// The largest remainders of the proportional shares are rounded up, first class first, after every
/// class has its one image; so no class gets more than it has.
std::vector<int64_t> proportional(int64_t total, const std::vector<int64_t>& sizes) {
  const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  std::vector<int64_t> counts;
  std::vector<double> shares;
  for (const int64_t size : sizes) {
    shares.push_back(static_cast<double>(total) * static_cast<double>(size) /
                     static_cast<double>(all));
    counts.push_back(std::clamp<int64_t>(static_cast<int64_t>(shares.back()), 1, size));
  }
  const auto lack = [&](size_t c) { return shares[c] - static_cast<double>(counts[c]); };
  int64_t left = total - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (; left != 0; left += left > 0 ? -1 : 1) {
    size_t chosen = sizes.size();
    for (size_t c = 0; c < sizes.size(); ++c) {
      if (left > 0 ? counts[c] >= sizes[c] : counts[c] <= 1) continue;
      if (chosen == sizes.size() || (left > 0 ? lack(c) > lack(chosen) : lack(c) < lack(chosen)))
        chosen = c;
    }
    counts[chosen] += left > 0 ? 1 : -1;
  }
  return counts;
}

/// The class that a name, an id or an index means; names go first. The number of classes for none.
size_t row_of(const std::string& word, const std::vector<std::string>& names,
              const std::vector<std::string>& ids) {
  for (const auto* list : {&names, &ids})
    if (const auto at = std::find(list->begin(), list->end(), word); at != list->end())
      return static_cast<size_t>(at - list->begin());
  const auto index = whole_number(word);
  const auto count = static_cast<int64_t>(names.size());
  return static_cast<size_t>(index && *index >= 0 && *index < count ? *index : count);
}

/// CLASS=COUNT lines; everything wrong is collected. Names may hold '=': the last one counts.
std::vector<int64_t> from_lines(const std::string& text, const std::vector<std::string>& names,
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

/// A data set may have a thousand classes.
std::vector<std::string> shortened(std::vector<std::string> problems) {
  if (problems.size() <= kMostProblems) return problems;
  const size_t more = problems.size() - kMostProblems;
  problems.resize(kMostProblems);
  problems.push_back(fmt::format("and {} more", more));
  return problems;
}

}  // namespace

std::vector<int64_t> parse_images_per_class(const std::string& text,
                                            const std::vector<std::string>& class_names,
                                            const std::vector<int64_t>& sizes,
                                            const std::vector<std::string>& class_ids) {
  const std::string doing = "images_per_class '" + text + "'";
  const std::string accepted =
      "a number of at least 1, proportional:TOTAL, or a file of CLASS=COUNT lines";
  std::vector<std::string> problems;
  std::vector<int64_t> counts;
  const auto fixed = whole_number(text);
  if (fixed) {
    if (*fixed < 1) throw ConfigError({doing, "it is less than 1", accepted, ""});
    if (*fixed > kMostOfAClass)
      throw ConfigError({doing, fmt::format("it is more than {}", kMostOfAClass), accepted, ""});
    counts.assign(class_names.size(), *fixed);
  } else if (text.rfind(kProportional, 0) == 0) {
    const auto total = whole_number(std::string_view(text).substr(kProportional.size()));
    const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
    const auto classes = static_cast<int64_t>(sizes.size());
    if (!total || *total < classes || *total > all)
      throw ConfigError(
          {doing, "the total is not possible",
           fmt::format("a total from {} (one a class) to {} (all images)", classes, all), ""});
    if (std::find(sizes.begin(), sizes.end(), 0) == sizes.end())
      counts = proportional(*total, sizes);
    else
      counts.assign(sizes.size(), 1);
  } else {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(text, ignored))
      throw ConfigError({doing, "it is neither a number nor a file", accepted, ""});
    counts = from_lines(read_file(text, kLargestFile), class_names, class_ids, problems);
  }
  for (size_t c = 0; c < sizes.size(); ++c)
    if (sizes[c] == 0) problems.push_back("class '" + class_names[c] + "' has 0 images");
  if (!problems.empty()) throw ConfigError::many(doing, shortened(std::move(problems)));
  return counts;
}

std::vector<std::string> classes_too_small(const std::vector<int64_t>& counts,
                                           const std::vector<std::string>& class_names,
                                           const std::vector<int64_t>& sizes) {
  std::vector<std::string> found;
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] > sizes[c])
      found.push_back(fmt::format("class '{}' has {} training image{}, {} are asked",
                                  class_names[c], sizes[c], sizes[c] == 1 ? "" : "s", counts[c]));
  return shortened(std::move(found));
}

}  // namespace retort::synthetic
