// records.jsonl: what happened in a run, one JSON object a line. Every record has "kind" and, where
// it belongs to an iteration, "iteration".
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace retort {

using Json = nlohmann::json;

/// JSON as text, on one line without `indent`; bytes that are not UTF-8, as file names may hold,
/// are replaced.
std::string json_text(const Json& json, int indent = -1);

/// Appends records; each is flushed at once. On opening, records of later iterations than
/// `keep_through`, and a line that a kill cut short, are dropped, so a resumed run has each once.
class RecordWriter {
 public:
  RecordWriter(std::filesystem::path path, int64_t keep_through);
  void write(const Json& record);

 private:
  std::filesystem::path path_;
};

/// All whole lines of a records file; an absent file has none. Where there, "kind" is a text and
/// "iteration" a whole number. A damaged line is a DataError, but for the last one, which a kill
/// may have cut short.
std::vector<Json> read_records(const std::filesystem::path& path);

}  // namespace retort
