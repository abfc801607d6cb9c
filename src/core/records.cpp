// records.jsonl. No torch here.
#include "retort/core/records.h"

#include <fmt/format.h>

#include <fstream>

#include "retort/core/error.h"
#include "retort/core/file.h"

namespace retort {

RecordWriter::RecordWriter(std::filesystem::path path, int64_t keep_through)
    : path_(std::move(path)) {
  std::string kept;
  for (const Json& record : read_records(path_))
    if (record.value("iteration", int64_t{0}) <= keep_through) kept += record.dump() + "\n";
  write_atomically(path_, kept);
}

void RecordWriter::write(const Json& record) {
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << record.dump() << "\n";
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
    if (record.is_object()) {
      records.push_back(std::move(record));
    } else if (begin < text.size()) {
      throw DataError::damaged(path.string(), fmt::format("line {} is not a JSON object", line));
    }
  }
  return records;
}

}  // namespace retort
