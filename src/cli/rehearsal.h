// A command that is run for a little while, in a folder that is thrown away, to say how long all of
// it will take.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cli/host.h"
#include "cli/printable.h"
#include "retort/core/stop.h"

namespace retort::cli {

/// A folder beside others for temporary things; removed with all it holds.
class PassingFolder {
 public:
  PassingFolder();
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  ~PassingFolder();
  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const;  ///< of all files

 private:
  std::filesystem::path path_;
};

/// Of all files in a folder; 0 where it is not there.
int64_t bytes_in(const std::filesystem::path& folder);

class Rehearsal {
 public:
  /// Steps are those of the progress that `counts` says yes to; what comes before is counted as it
  /// was. `given` must outlive it.
  Rehearsal(const Environment& given, std::function<bool(const std::string& label)> counts);

  /// Silent, and stops after some steps. Valid while this is.
  const Environment& environment() const { return environment_; }
  /// Seconds of the whole command, after it was run in that environment.
  double seconds() const;
  /// The steps that there are in all, and the share of them that was made.
  int64_t total() const { return last_ ? last_->total : 0; }
  double share() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    int64_t done = 0, total = 0;
    double at = 0;
  };
  void hear(const ProgressReport& report);

  const Environment& given_;
  const std::function<bool(const std::string&)> counts_;
  const Clock::time_point begin_ = Clock::now();
  SilentBuffer nothing_;
  std::ostream silence_{&nothing_};
  StopFlag stop_;
  Host host_;
  Environment environment_;
  std::optional<Seen> first_, last_;
  int64_t heard_ = 0;
};

}  // namespace retort::cli
