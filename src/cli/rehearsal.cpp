#include "cli/rehearsal.h"

#include <stdlib.h>

#include "retort/core/error.h"

namespace retort::cli {

namespace fs = std::filesystem;

PassingFolder::PassingFolder() {
  std::string pattern = (fs::temp_directory_path() / "retort-estimate-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw ResourceError::io("making a folder for the estimate");
  path_ = pattern;
}

PassingFolder::~PassingFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

int64_t PassingFolder::bytes() const {
  return bytes_in(path_);
}

int64_t bytes_in(const fs::path& folder) {
  int64_t sum = 0;
  if (!fs::exists(folder)) return sum;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) sum += static_cast<int64_t>(entry.file_size());
  return sum;
}

Rehearsal::Rehearsal(const Environment& given, std::function<bool(const std::string& label)> counts)
    : given_(given),
      counts_(std::move(counts)),
      environment_{silence_, silence_, false, given.width, &stop_} {
  if (given.host) host_ = *given.host;
  host_.iteration = {};
  host_.record = {};
  host_.progress = [this](const ProgressReport& report) { hear(report); };
  environment_.host = &host_;
  environment_.debug = given.debug;
  environment_.cache = given.cache;
}

void Rehearsal::hear(const ProgressReport& report) {
  constexpr double kEnough = 8, kLong = 60;  // seconds
  if (given_.stop && given_.stop->requested()) stop_.request();
  if (!counts_(report.label)) return;
  const Seen now{report.done, report.total,
                 std::chrono::duration<double>(Clock::now() - begin_).count()};
  ++heard_;
  if (!first_) first_ = now;
  last_ = now;
  const double since = now.at - first_->at;
  if ((heard_ > 3 && since > kEnough) || (heard_ > 1 && since > kLong)) stop_.request();
}

double Rehearsal::seconds() const {
  const double all = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (!first_ || last_->done == first_->done || last_->done >= last_->total) return all;
  const double each = (last_->at - first_->at) / static_cast<double>(last_->done - first_->done);
  return first_->at + each * static_cast<double>(last_->total - first_->done);
}

double Rehearsal::share() const {
  if (!last_ || last_->done < 1) return 1;
  return static_cast<double>(last_->done) / static_cast<double>(last_->total);
}

}  // namespace retort::cli
