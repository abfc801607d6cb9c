// records.jsonl. No torch here.
#include "retort/core/records.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "retort/core/error.h"

namespace retort {

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

namespace {

constexpr const char* kHash = "hash";
constexpr int kMostDepth = 64;  // writing a value goes as deep as the value

/// One line; discarded where it is no JSON, or nests too deep.
Json parsed_line(std::string_view line) {
  bool deep = false;
  Json record = Json::parse(
      line,
      [&](int depth, Json::parse_event_t, Json&) {
        deep = deep || depth > kMostDepth;
        return !deep;
      },
      false);
  return deep ? Json(Json::value_t::discarded) : record;
}

std::string hash_of(const Json& record) {
  const std::string text = json_text(record);
  return hex(hash_bytes(text.data(), text.size()));
}

/// A record with the hash of its text without it.
std::string line_of(Json record) {
  record[kHash] = hash_of(record);
  return json_text(record) + "\n";
}

/// Takes the hash out of a record that was read; what is wrong with it, or empty.
std::string problem_of(Json& record) {
  if (!record.is_object()) return "not a JSON object";
  if (const auto written = record.find(kHash); written != record.end()) {
    const Json hash = *written;
    record.erase(written);
    if (hash != hash_of(record)) return "damaged: its hash is another than the one written";
  }
  const auto kind = record.find("kind"), iteration = record.find("iteration");
  if (kind != record.end() && !kind->is_string()) return "a record whose 'kind' is not text";
  if (iteration != record.end() && !iteration->is_number_integer())
    return "a record whose 'iteration' is not a whole number";
  return {};
}

}  // namespace

RecordWriter::RecordWriter(std::filesystem::path path, int64_t keep_through)
    : path_(std::move(path)) {
  std::string kept;
  for (const Json& record : read_records(path_))
    if (record.value("iteration", int64_t{0}) <= keep_through) kept += line_of(record);
  write_atomically(path_, kept);
}

void RecordWriter::write(const Json& record) {
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << line_of(record);
  file.flush();
  if (!file) throw ResourceError::io("writing '" + path_.string() + "'");
}

std::vector<Json> read_records(const std::filesystem::path& path) {
  std::vector<Json> records;
  if (!std::filesystem::exists(path)) return records;
  const std::string text = read_file(path);
  size_t begin = 0;
  for (size_t line = 1; begin < text.size(); ++line) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // cut short by a kill
    Json record = parsed_line(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    const bool parsed = record.is_object();
    const std::string problem = problem_of(record);
    if (problem.empty()) {
      records.push_back(std::move(record));
    } else if (parsed || begin < text.size()) {
      throw DataError(ErrorMessage{
          "reading '" + path.string() + "'", fmt::format("line {} is {}", line, problem),
          "one JSON object a line, as retort writes them", "mend or remove that line"});
    }
  }
  return records;
}

}  // namespace retort
