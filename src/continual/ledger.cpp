#include "continual/ledger.h"

#include <nlohmann/json.hpp>

#include <limits>
#include <sstream>

namespace retort::continual {

Ledger::Ledger(const std::filesystem::path& path, std::string name, bool writes)
    : name_(std::move(name)), path_(path) {
  if (writes) writer_.emplace(path, std::numeric_limits<int64_t>::max());
  for (const Json& record : read_records(path)) {
    const std::string kind = record.value("kind", "");
    if (kind == "order") orders_.insert(record.value("order", int64_t{-1}));
    if (kind == "learned" && record.value("name", "") == name_)
      known_.insert({record.value("use", ""), record.value("order", int64_t{-1}),
                     record.value("task", int64_t{-1})});
  }
}

bool Ledger::known(const std::string& use, int64_t order, int64_t task) const {
  return known_.contains({use, order, task});
}

void Ledger::begin(const TaskStream& stream) {
  add(stream.record());
}

void Ledger::add(const Learned& learned) {
  Json record = learned.json();
  record["name"] = name_;
  add(record);
}

void Ledger::add(const Json& record) {
  if (record.value("kind", "") == "order" &&
      !orders_.insert(record.value("order", int64_t{-1})).second)
    return;
  if (writer_)
    writer_->write(record);
  else
    kept_ += json_text(record) + "\n";
}

void Ledger::gather(const ProcessGroup& group) {
  if (writer_) return;
  const std::vector<std::string> all = group.gather(kept_);
  kept_.clear();
  if (!group.first()) return;
  RecordWriter writer(path_, std::numeric_limits<int64_t>::max());
  for (const std::string& part : all) {
    std::istringstream lines(part);
    for (std::string line; std::getline(lines, line);) writer.write(Json::parse(line));
  }
}

}  // namespace retort::continual
