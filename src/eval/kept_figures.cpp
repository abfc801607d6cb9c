// No torch here.
#include "eval/kept_figures.h"

#include <fmt/format.h>

#include <limits>

namespace retort::eval {
namespace {

constexpr const char* kKey = "key";

std::filesystem::path file_of(const std::filesystem::path& folder, int64_t rank) {
  return folder / (rank == 0 ? "records.jsonl" : fmt::format("records-{}.jsonl", rank));
}

}  // namespace

KeptFigures::KeptFigures(std::filesystem::path folder, int64_t rank) : folder_(std::move(folder)) {
  if (rank >= 0) writer_.emplace(file_of(folder_, rank), std::numeric_limits<int64_t>::max());
  refresh();
}

void KeptFigures::refresh() {
  const std::lock_guard<std::mutex> lock(mutex_);
  // A job of fewer processes may follow one of more: files are looked for by number.
  for (int64_t rank = 0; std::filesystem::exists(file_of(folder_, rank)); ++rank)
    for (Json& record : read_records(file_of(folder_, rank)))
      if (record.contains(kKey) && record[kKey].is_string()) {
        const std::string key = record[kKey];
        figures_[key] = std::move(record);
      }
}

std::optional<Json> KeptFigures::find(const std::string& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = figures_.find(key);
  if (found == figures_.end()) return {};
  return found->second;
}

void KeptFigures::add(const std::string& key, Json figure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  figure["kind"] = "figure";
  figure[kKey] = key;
  writer_.value().write(figure);
  figures_[key] = std::move(figure);
}

}  // namespace retort::eval
