#include "continual/ledger.h"

#include <limits>

namespace retort::continual {

Ledger::Ledger(const std::filesystem::path& path, std::string name)
    : name_(std::move(name)), writer_(path, std::numeric_limits<int64_t>::max()) {
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
  if (orders_.insert(stream.order()).second) writer_.write(stream.record());
}

void Ledger::add(const Learned& learned) {
  Json record = learned.json();
  record["name"] = name_;
  writer_.write(record);
}

}  // namespace retort::continual
