// The processes of one job, and the little that crosses between them.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "retort/core/error.h"

namespace retort {

/// How a process ended that could not go on.
struct Failure {
  int code = 1;  ///< for the exit
  std::string message;
  bool unheard = false;  ///< the others did not answer in time
};

/// Another process of the job has failed; the message names it. All processes are told the same.
class PeerError : public Error {
 public:
  explicit PeerError(const Failure& failure) : Error(failure.code, failure.message) {}
};

/// Processes that run one program on the same input, each on its share of the work (core/share.h).
/// All of them make the same calls in the same order, each from one thread, and a call returns when
/// all have made it; PeerError where one of them has failed instead. What comes back is the same on
/// every process and in order of the items, whatever their number. A group of one, which this class
/// is by itself, returns at once what it was given.
class ProcessGroup {
 public:
  ProcessGroup() = default;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;
  virtual ~ProcessGroup() = default;

  /// A group of one.
  static const ProcessGroup& alone();
  virtual int64_t rank() const { return 0; }
  virtual int64_t size() const { return 1; }
  /// The one that writes files and speaks.
  bool first() const { return rank() == 0; }
  /// The rank among the processes on this machine.
  virtual int64_t local_rank() const { return 0; }
  /// The processors that are this process's part of its machine; 0: all that it may use.
  virtual int processors() const { return 0; }

  /// The bytes of every process, in order of ranks.
  virtual std::vector<std::string> gather(const std::string& bytes) const { return {bytes}; }
  /// The bytes of the first process.
  std::string broadcast(const std::string& bytes) const { return gather(first() ? bytes : "")[0]; }
  void barrier() const { gather(""); }
  /// What the first process says.
  int64_t agree(int64_t number) const { return std::stoll(broadcast(std::to_string(number))); }
  /// True where any process says so.
  bool any(bool mine) const;

  /// All items in order of ranks: each process gives those of its share, which may be none. All are
  /// of the type, shape and device of `like`.
  std::vector<at::Tensor> gather(const std::vector<at::Tensor>& mine, const at::Tensor& like) const;
  /// Their sum, taken in that order; each process adds up its part of the numbers. Without any:
  /// zeros.
  at::Tensor all_reduce(const std::vector<at::Tensor>& mine, const at::Tensor& like) const;
  /// The numbers of all items in order of ranks.
  std::vector<double> gather(const std::vector<double>& mine) const;
  /// Fills the rows of `whole` [N, ...] that are other processes'; `mine` are this one's.
  void gather_rows(const at::Tensor& whole, const std::vector<int64_t>& mine) const;

  /// Tells the others that this process cannot go on, in place of its next call, and returns what
  /// all of them are to say. Alone, and where they do not answer within seconds, its own.
  virtual Failure fail(const Failure& failure) const { return failure; }
  /// Ends all processes of the job at once.
  [[noreturn]] virtual void abort(int code) const;

  /// Gives part r of `parts`, one for each process, to process r; what all give to this one, in
  /// order of ranks.
  virtual std::vector<std::string> deal(const std::vector<std::string>& parts) const {
    return parts;
  }
};

}  // namespace retort
