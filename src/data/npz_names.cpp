// What the names of arrays in .npz files mean. No torch here.
#include "data/npz_names.h"

#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include "data/layouts.h"

namespace retort::data {
namespace {

// Longer words first: "validation" begins with "valid".
constexpr std::pair<std::string_view, ArrayPart> kParts[] = {
    {"training", ArrayPart::kTrain},        {"train", ArrayPart::kTrain},
    {"testing", ArrayPart::kTest},          {"test", ArrayPart::kTest},
    {"validation", ArrayPart::kValidation}, {"valid", ArrayPart::kValidation},
    {"val", ArrayPart::kValidation},        {"dev", ArrayPart::kValidation}};

std::optional<ArrayRole> role_of(const std::string& word) {
  static const std::map<std::string, ArrayRole> words = {{"x", ArrayRole::kImages},
                                                         {"image", ArrayRole::kImages},
                                                         {"images", ArrayRole::kImages},
                                                         {"img", ArrayRole::kImages},
                                                         {"imgs", ArrayRole::kImages},
                                                         {"data", ArrayRole::kImages},
                                                         {"inputs", ArrayRole::kImages},
                                                         {"y", ArrayRole::kLabels},
                                                         {"label", ArrayRole::kLabels},
                                                         {"labels", ArrayRole::kLabels},
                                                         {"target", ArrayRole::kLabels},
                                                         {"targets", ArrayRole::kLabels},
                                                         {"classnames", ArrayRole::kClassNames},
                                                         {"labelnames", ArrayRole::kClassNames},
                                                         {"targetnames", ArrayRole::kClassNames}};
  const auto at = words.find(word);
  return at == words.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace

std::optional<ArrayMeaning> meaning_of(const std::string& name) {
  std::string plain = lower(name);
  std::erase_if(plain, [](char c) { return c == '_' || c == '-' || c == '.' || c == ' '; });
  if (const auto role = role_of(plain)) return ArrayMeaning{*role, ArrayPart::kTrain};
  for (const auto& [word, part] : kParts) {
    if (plain.starts_with(word))
      if (const auto role = role_of(plain.substr(word.size()))) return ArrayMeaning{*role, part};
    if (plain.ends_with(word))
      if (const auto role = role_of(plain.substr(0, plain.size() - word.size())))
        return ArrayMeaning{*role, part};
  }
  return std::nullopt;
}

std::optional<int> unnamed_array(const std::string& name) {
  if (!name.starts_with("arr_")) return std::nullopt;
  int number = -1;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data() + 4, end, number);
  if (result.ec != std::errc() || result.ptr != end || number < 0) return std::nullopt;
  return number;
}

}  // namespace retort::data
