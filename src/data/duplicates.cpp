// Images that occur more than once. No torch here.
#include "data/duplicates.h"
#include "core/sizes.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>

namespace retort::data {
namespace {

using Entry = std::pair<size_t, int64_t>;  // an image's hash and its row

std::string_view image(const ImageRows& rows, int64_t row, int64_t bytes) {
  return {reinterpret_cast<const char*>(rows.pixels) + row * bytes, to_size(bytes)};
}

std::vector<Entry> hashed(const ImageRows& rows, int64_t bytes) {
  std::vector<Entry> entries;
  entries.reserve(to_size(rows.count));
  for (int64_t row = 0; row < rows.count; ++row)
    entries.emplace_back(std::hash<std::string_view>()(image(rows, row, bytes)), row);
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// How many, and the first pair of rows.
struct Found {
  int64_t count = 0, first = 0, same_as = 0;
  void add(int64_t row, int64_t other) {
    if (count == 0 || row < first) {
      first = row;
      same_as = other;
    }
    ++count;
  }
};

std::string quoted(const std::string& name) {
  constexpr size_t kMost = 40;
  return "'" + (name.size() > kMost ? name.substr(0, kMost) + "..." : name) + "'";
}

std::string classes(const std::vector<std::string>& names, int64_t first, int64_t second) {
  const std::string a = quoted(names[to_size(first)]), b = quoted(names[to_size(second)]);
  return first == second ? "of class " + a : "under " + a + " and " + b;
}

std::vector<int64_t> counts(const ImageRows& rows, size_t classes) {
  std::vector<int64_t> counts(classes);
  for (int64_t row = 0; row < rows.count; ++row) ++counts[to_size(rows.labels[row])];
  return counts;
}

std::string untested_note(const ImageRows& train, const ImageRows& test,
                          const std::vector<std::string>& names) {
  constexpr int kShown = 6;
  const std::vector<int64_t> trained = counts(train, names.size()),
                             tested = counts(test, names.size());
  std::string listed;
  int untested = 0;
  for (size_t c = 0; c < names.size(); ++c) {
    if (tested[c] > 0 || ++untested > kShown) continue;
    listed += (untested > 1 ? ", " : "") + quoted(names[c]) + " (" + std::to_string(trained[c]) +
              (trained[c] == 1 ? " training image)" : " training images)");
  }
  if (untested == 0) return {};
  return std::to_string(untested) + " of " + std::to_string(names.size()) +
         " classes without a test image: " + listed +
         (untested > kShown ? " and " + std::to_string(untested - kShown) + " more" : "");
}

}  // namespace

std::vector<std::string> doubtful_notes(const ImageRows& train, const ImageRows& test,
                                        int64_t image_bytes,
                                        const std::vector<std::string>& class_names) {
  const std::vector<Entry> known = hashed(train, image_bytes);
  Found shared, relabelled;
  for (int64_t row = 0; row < test.count; ++row) {
    const std::string_view pixels = image(test, row, image_bytes);
    const auto at = std::lower_bound(known.begin(), known.end(),
                                     Entry{std::hash<std::string_view>()(pixels), 0});
    if (at != known.end() && pixels == image(train, at->second, image_bytes))
      shared.add(row, at->second);
  }
  for (size_t i = 1, first = 0; i < known.size(); ++i) {
    if (known[i].first != known[first].first) first = i;
    const int64_t row = known[i].second, other = known[first].second;
    if (train.labels[row] != train.labels[other] &&
        image(train, row, image_bytes) == image(train, other, image_bytes))
      relabelled.add(row, other);
  }
  std::vector<std::string> notes;
  if (std::string untested = untested_note(train, test, class_names); !untested.empty())
    notes.push_back(std::move(untested));
  if (shared.count > 0)
    notes.push_back(std::to_string(shared.count) + " of " + std::to_string(test.count) +
                    " test images are training images as well (the same pixels), the first " +
                    classes(class_names, test.labels[shared.first], train.labels[shared.same_as]));
  if (relabelled.count > 0)
    notes.push_back(
        std::to_string(relabelled.count) +
        (relabelled.count == 1 ? " training image stands" : " training images stand") +
        " under two labels (the same pixels), the first " +
        classes(class_names, train.labels[relabelled.same_as], train.labels[relabelled.first]));
  return notes;
}

}  // namespace retort::data
