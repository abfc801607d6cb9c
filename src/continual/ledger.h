// The records of a stream's folder, for one method: what is known, and what is added.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <tuple>

#include "continual/continual.h"
#include "retort/core/records.h"

namespace retort::continual {

class Ledger {
 public:
  /// Reads what earlier starts left; DataError where that is damaged.
  Ledger(const std::filesystem::path& path, std::string name);
  bool known(const std::string& use, int64_t order, int64_t task) const;
  /// Records an order once.
  void begin(const TaskStream& stream);
  void add(const Learned& learned);

 private:
  std::string name_;
  RecordWriter writer_;
  std::set<std::tuple<std::string, int64_t, int64_t>> known_;
  std::set<int64_t> orders_;
};

}  // namespace retort::continual
