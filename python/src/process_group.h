// The processes of a torch.distributed job, as the library sees them.
#pragma once

#include "core/meeting_group.h"
#include "python_objects.h"

#pragma GCC visibility push(hidden)
namespace retort::python {

/// What a driver of Python (retort/processes.py) carries from process to process. Its functions are
/// called without the GIL, on the thread that runs a command.
class PythonGroup : public MeetingGroup {
 public:
  /// Needs the GIL.
  explicit PythonGroup(py::object driver);
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  int64_t local_rank() const override { return local_rank_; }
  int processors() const override { return processors_; }

 protected:
  std::optional<std::vector<Header>> meet(const Header& mine,
                                          Clock::time_point last) const override;
  std::vector<std::string> exchange(const std::vector<Header>& headers,
                                    const std::string& mine) const override;
  std::vector<std::string> exchange_parts(const std::vector<std::string>& parts,
                                          int64_t most) const override;

 private:
  /// What a function of the driver answers; PeerError where it raises.
  template <class Answer, class... Words>
  Answer ask(const char* function, const Words&... words) const;

  const Kept driver_;
  int64_t rank_ = 0, size_ = 1, local_rank_ = 0;
  int processors_ = 0;
};

}  // namespace retort::python
#pragma GCC visibility pop
