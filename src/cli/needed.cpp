#include "cli/needed.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "retort/core/records.h"
#include "trajectories/trajectory_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

/// Null until something is added; null again where a part is not known.
class Figure {
 public:
  void add(const Json& record, const char* key, bool largest) {
    const auto field = record.find(key);
    if (field == record.end() || !field->is_number()) {
      known_ = false;
      return;
    }
    const auto value = field->get<double>();
    value_ = largest ? std::max(value_, value) : value_ + value;
    any_ = true;
  }
  Json json() const { return any_ && known_ ? Json(value_) : Json(); }

 private:
  double value_ = 0;
  bool any_ = false, known_ = true;
};

/// Time and peak memory over the records of one kind.
void take_figures(const fs::path& folder, const char* kind, Json& needed) {
  Figure seconds, peak;
  for (const Json& record : read_records(folder / "records.jsonl")) {
    if (record.value("kind", "") != kind) continue;
    seconds.add(record, "seconds", false);
    peak.add(record, "peak_memory_bytes", true);
  }
  needed["seconds"] = seconds.json();
  needed["peak_memory_bytes"] = peak.json();
}

Json experts_in(const fs::path& folder) {
  int64_t count = 0;
  uint64_t bytes = 0;
  for (const fs::path& file : trajectories::finished_trajectories(folder)) {
    ++count;
    bytes += fs::file_size(file);
  }
  Json needed{{"kind", "needed"}, {"what", "expert"}, {"count", count}, {"bytes", bytes}};
  take_figures(folder, "expert", needed);
  return needed;
}

Json teacher_of(const fs::path& file) {
  Json needed{
      {"kind", "needed"}, {"what", "teacher"}, {"count", 1}, {"bytes", fs::file_size(file)}};
  take_figures(file.parent_path(), "iteration", needed);
  return needed;
}

}  // namespace

void keep_needed(const fs::path& run, const OptionSet& options) {
  const fs::path path = run / "records.jsonl";
  for (const Json& record : read_records(path))
    if (record.value("kind", "") == "needed") return;
  std::vector<Json> needed;
  const auto given = [&](const char* name) {
    const Option* option = options.find(name);
    return option ? fs::path(option->text()) : fs::path();
  };
  if (const fs::path experts = given("experts"); fs::is_directory(experts))
    needed.push_back(experts_in(experts));
  if (const fs::path teacher = given("teacher"); fs::is_regular_file(teacher))
    needed.push_back(teacher_of(teacher));
  if (needed.empty()) return;
  RecordWriter writer(path, std::numeric_limits<int64_t>::max());
  for (const Json& record : needed) writer.write(record);
}

}  // namespace retort::cli
