// Reading the texts that a safetensors file of ours has beside its tensors. No torch here.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "retort/core/error.h"

namespace retort {

using Metadata = std::map<std::string, std::string>;

/// A value as JSON on one line, for a metadata text; bytes that are not UTF-8 are replaced.
inline std::string metadata_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Reads metadata; every problem is a DataError that names the file and the key. Refers to the
/// metadata it is given.
class MetadataReader {
 public:
  /// `what` the file should be: "a bundle"; `accepted` ends messages: "a bundle written by retort".
  MetadataReader(const Metadata& metadata, std::string path, std::string what, std::string accepted)
      : metadata_(metadata),
        path_(std::move(path)),
        what_(std::move(what)),
        accepted_(std::move(accepted)) {}

  [[noreturn]] void refuse(const std::string& found) const {
    throw DataError::damaged(path_, found, accepted_);
  }
  const std::string& path() const { return path_; }

  const std::string& text(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) refuse("its metadata lack '" + key + "'");
    return found->second;
  }

  /// Of keys that older files lack.
  std::string text_or(const std::string& key, const std::string& otherwise) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? otherwise : found->second;
  }

  /// int64_t or double.
  template <class Number = int64_t>
  Number number(const std::string& key) const {
    const std::string& value = text(key);
    Number number = 0;
    const char* end = value.data() + value.size();
    const auto result = std::from_chars(value.data(), end, number);
    if (result.ec != std::errc() || result.ptr != end)
      refuse("its metadata '" + key + "' is '" + value + "', no number");
    return number;
  }

  template <class T>
  std::vector<T> list(const std::string& key) const {
    try {
      return nlohmann::json::parse(text(key)).get<std::vector<T>>();
    } catch (const nlohmann::json::exception&) {
      refuse("its metadata '" + key + "' is not the list that it should be");
    }
  }

  /// Refuses other formats, and by a StateError newer versions of this one.
  void check_version(const std::string& format, int64_t version) const {
    const auto found = metadata_.find("format");
    if (found == metadata_.end() || found->second != format) refuse("it is not " + what_);
    const auto of_file = number("format_version");
    if (of_file < 1) refuse("its format version is " + std::to_string(of_file));
    if (of_file > version)
      throw StateError(ErrorMessage{
          "reading '" + path_ + "'",
          "it is " + what_ + " of format version " + std::to_string(of_file),
          "versions up to " + std::to_string(version), "use a newer version of retort"});
  }

 private:
  const Metadata& metadata_;
  std::string path_, what_, accepted_;
};

}  // namespace retort
