// The records of a stream's folder, for one method: what is known, and what is added.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "continual/continual.h"
#include "retort/core/records.h"

namespace retort::continual {

class Ledger {
 public:
  /// Reads what earlier starts left; DataError where that is damaged.
  /// It `writes` what is added at once, or keeps it for gather().
  Ledger(const std::filesystem::path& path, std::string name, bool writes = true);
  bool known(const std::string& use, int64_t order, int64_t task) const;
  /// Records an order once.
  void begin(const TaskStream& stream);
  void add(const Learned& learned);
  /// Records of either kind, as they are written.
  void add(const Json& record);
  /// What is added is kept until this is called by all processes of a group, of which the first
  /// writes what all have added, in order of ranks.
  void gather(const ProcessGroup& group);

 private:
  std::string name_;
  std::optional<RecordWriter> writer_;  // none where records are kept until they are gathered
  std::filesystem::path path_;
  std::string kept_;  // a record a line
  std::set<std::tuple<std::string, int64_t, int64_t>> known_;
  std::set<int64_t> orders_;
};

}  // namespace retort::continual
