// records.jsonl. No torch here.
#include "retort/core/records.h"

#include <fmt/format.h>

#include <fstream>

#include "retort/core/error.h"
#include "retort/core/file.h"

namespace retort {
namespace {

/// What is wrong with a line, or empty.
std::string problem_of(const Json& record) {
  if (!record.is_object()) return "not a JSON object";
  const auto kind = record.find("kind"), iteration = record.find("iteration");
  if (kind != record.end() && !kind->is_string()) return "a record whose 'kind' is not a text";
  if (iteration != record.end() && !iteration->is_number_integer())
    return "a record whose 'iteration' is not a whole number";
  return {};
}

}  // namespace

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

RecordWriter::RecordWriter(std::filesystem::path path, int64_t keep_through)
    : path_(std::move(path)) {
  std::string kept;
  for (const Json& record : read_records(path_))
    if (record.value("iteration", int64_t{0}) <= keep_through) kept += json_text(record) + "\n";
  write_atomically(path_, kept);
}

void RecordWriter::write(const Json& record) {
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << json_text(record) << "\n";
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
    Json record = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    begin = end + 1;
    const std::string problem = problem_of(record);
    if (problem.empty()) {
      records.push_back(std::move(record));
    } else if (begin < text.size()) {
      throw DataError(
          Report{"reading '" + path.string() + "'", fmt::format("line {} is {}", line, problem),
                 "one JSON object a line, as retort writes them", "mend or remove that line"});
    }
  }
  return records;
}

}  // namespace retort
