// Which set of the MNIST family idx files hold. No torch here.
#include "data/idx_sets.h"

#include <algorithm>
#include <cmath>

#include "data/layouts.h"

namespace retort::data {
namespace {

struct KnownSet {
  const char *name, *word;  ///< the word that its folder's name has
  Normalisation published;
  std::vector<std::string> classes;
};

// In this order: "kmnist" holds "mnist".
const std::vector<KnownSet>& known_sets() {
  static const std::vector<KnownSet> sets = {
      {"fashion-mnist",
       "fashion",
       {{0.2861}, {0.3530}},
       {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot"}},
      {"kmnist",
       "kmnist",
       {{0.1918}, {0.3483}},
       {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"}},
      {"mnist", "mnist", {{0.1307}, {0.3081}}, digits()}};
  return sets;
}

/// Mean and deviation of all pixels in [0, 1].
std::pair<double, double> measured(const std::vector<uint8_t>& pixels) {
  double sum = 0, squares = 0;
  for (const uint8_t value : pixels) {
    sum += value;
    squares += double{1} * value * value;
  }
  const double count = static_cast<double>(pixels.size()), mean = sum / count;
  return {mean / 255, std::sqrt(std::max(0.0, squares / count - mean * mean)) / 255};
}

/// The set whose published values, rounded to four digits, these pixels have.
const KnownSet* by_pixels(const RawDataset& raw) {
  const auto [mean, deviation] = measured(raw.train.pixels);
  for (const KnownSet& set : known_sets())
    if (std::abs(mean - set.published.mean[0]) < 1e-4 &&
        std::abs(deviation - set.published.deviation[0]) < 1e-4)
      return &set;
  return nullptr;
}

std::vector<std::string> letters(char first, char last) {
  std::vector<std::string> names;
  for (char c = first; c <= last; ++c) names.emplace_back(1, c);
  return names;
}

/// EMNIST's classes: digits, capitals, small letters; in the balanced and merged splits only those
/// small letters that do not look like their capitals.
std::vector<std::string> emnist_names(size_t count) {
  if (count == 26) return letters('A', 'Z');
  std::vector<std::string> names = digits();
  const std::vector<std::string> capitals = letters('A', 'Z'),
                                 small = count == 47 ? letters('a', 'b') : letters('a', 'z');
  if (count == 10) return names;
  names.insert(names.end(), capitals.begin(), capitals.end());
  names.insert(names.end(), small.begin(), small.end());
  if (count == 47)
    for (const char c : std::string("defghnqrt")) names.emplace_back(1, c);
  return names;
}

}  // namespace

void name_idx_set(RawDataset& raw, const std::string& prefix, const std::string& folder,
                  bool from_one) {
  const std::string place = lower(folder);
  const size_t count = raw.class_names.size();
  const KnownSet* set = by_pixels(raw);
  if (set) raw.published = set->published;
  const bool said = prefix.starts_with("emnist") || place.find("emnist") != place.npos;
  // EMNIST has 26, 47 or 62 classes; nothing else under these names has.
  const bool emnist = said || (count == 26 && from_one) || count == 47 || count == 62;
  const bool qmnist = prefix.starts_with("qmnist") || place.find("qmnist") != place.npos;
  if (emnist || qmnist) {
    raw.name = emnist ? "emnist" : "qmnist";
    if (emnist)
      raw.notes.push_back(
          (said ? std::string()
                : "taken for EMNIST by its " + std::to_string(count) + " classes; ") +
          "EMNIST's files hold every image mirrored at its diagonal: left so, as torchvision "
          "leaves "
          "them");
    const std::vector<std::string> names = emnist ? emnist_names(count) : digits();
    if (names.size() == count && (prefix.starts_with("emnist") || qmnist)) raw.class_names = names;
  } else {
    for (const KnownSet& one : known_sets())
      if (!set && place.find(one.word) != place.npos) set = &one;
    raw.name = set ? set->name : count == 10 ? "mnist" : folder;
    if (!set && count == 10) set = &known_sets().back();
    if (set && set->classes.size() == count && !from_one) raw.class_names = set->classes;
  }
  if (raw.published) return;
  const bool has_published = std::any_of(known_sets().begin(), known_sets().end(),
                                         [&](const KnownSet& one) { return raw.name == one.name; });
  raw.notes.push_back(
      (has_published ? "the images are not " + raw.name + "'s as published: " : "") +
      "mean and deviation are computed");
}

}  // namespace retort::data
