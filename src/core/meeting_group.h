// What every group of several processes does, whatever carries its bytes.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "retort/core/process_group.h"

namespace retort {

/// Before any bytes cross, each process says how it is: nobody waits for one that cannot go on. A
/// way to carry bytes is three functions, which all processes call in the same order.
class MeetingGroup : public ProcessGroup {
 public:
  std::vector<std::string> gather(const std::string& bytes) const override;
  using ProcessGroup::gather;
  std::vector<std::string> deal(const std::vector<std::string>& parts) const override;
  Failure fail(const Failure& failure) const override;

 protected:
  using Clock = std::chrono::steady_clock;
  /// What a process says before its bytes: its exit code where it failed, and their number.
  struct Header {
    int64_t status, size;
  };

  /// Everyone's header, when all are there; nothing after `last`.
  virtual std::optional<std::vector<Header>> meet(const Header& mine,
                                                  Clock::time_point last) const = 0;
  /// All are there: their bytes, as many of each as its header says.
  virtual std::vector<std::string> exchange(const std::vector<Header>& headers,
                                            const std::string& mine) const = 0;
  /// What each has for this one, of at most `most` bytes.
  virtual std::vector<std::string> exchange_parts(const std::vector<std::string>& parts,
                                                  int64_t most) const = 0;

 private:
  std::string named(int64_t rank, const std::string& message) const;
  Failure verdict(const std::vector<Header>& headers, const std::vector<std::string>& said) const;
};

}  // namespace retort
