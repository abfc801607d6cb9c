// What the steps of a run share: its clock, its records, and how its result is written.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "methods/distillation.h"

namespace retort::methods {

/// One run under way.
struct Run {
  using Clock = std::chrono::steady_clock;
  const DistillInput& input;
  const RunFolder& folder;
  synthetic::SetLayout layout;  // of the images that are trained on
  double seconds_before = 0;
  Clock::time_point begin = Clock::now();

  double seconds_of_start() const {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  double seconds() const { return seconds_before + seconds_of_start(); }
};

/// The records of a run: what is written is told, too.
class Records {
 public:
  /// Drops what an earlier start recorded of later iterations than `keep_through`.
  Records(const Run& run, int64_t keep_through)
      : told_(run.input.how.record), writer_(run.folder.records(), keep_through) {}
  void write(const Json& record) {
    writer_.write(record);
    if (told_) told_(record);
  }

 private:
  const std::function<void(const Json&)>& told_;
  RecordWriter writer_;
};

/// The strategy that "auto" stands for, or the one asked for.
std::string augmentation_of(const DistillInput& input);

/// The result as it is now, of images [M, C, H, W].
synthetic::Bundle make_bundle(const Run& run, at::Tensor images);

/// What a run's records begin with; `bundle` is where it starts.
Json opening_record(const Run& run, const synthetic::Bundle& bundle);

/// Where a run ended.
struct End {
  int64_t iteration = 0;
  double loss = 0;
  std::vector<int64_t> rows = {};  ///< of the set that were moved, where others are another job's
};

/// Writes the result, on the process that has records; the finishing record comes last, so that a
/// kill before it repeats this. All processes return when it is there.
DistillOutcome finish(const Run& run, std::optional<Records>& records, synthetic::Bundle bundle,
                      const End& end);

}  // namespace retort::methods
