// How many images each class gets: one number, a share of a total, or a file of CLASS=COUNT lines.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "retort/core/error.h"
#include "retort/synthetic/parametrisation.h"
#include "synthetic/class_counts.h"

namespace retort::synthetic {
namespace {

constexpr std::string_view kProportional = "proportional:";
constexpr size_t kMostProblems = 20;
constexpr uint64_t kLargestFile = uint64_t{1} << 24;

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
    const auto classes = std::ssize(sizes);
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
    counts = counts_of_lines(read_file(text, kLargestFile), class_names, class_ids, problems);
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
      found.push_back(fmt::format("class '{}' has {} training image{}, {} are asked for",
                                  class_names[c], sizes[c], sizes[c] == 1 ? "" : "s", counts[c]));
  return shortened(std::move(found));
}

}  // namespace retort::synthetic
