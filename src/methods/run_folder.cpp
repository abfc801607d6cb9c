#include "core/file.h"
#include "core/leftovers.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"
#include "retort/methods/distill.h"

namespace retort::methods {
namespace {

/// More iterations go on with a run, but where the schedule of its images has reached the end.
FolderKind kind_of(const OptionSet& options, bool open_ended = true) {
  const Option* schedule = options.find("image_schedule");
  const bool open = open_ended && (!schedule || schedule->text() == "constant");
  return {"run folder", open ? "iterations" : ""};
}

}  // namespace

bool RunFolder::started(const std::filesystem::path& path, const OptionSet& options,
                        bool open_ended) {
  return folder_started(path, options, kind_of(options, open_ended));
}

RunFolder::RunFolder(std::filesystem::path path, const OptionSet& options, bool writes)
    : path_(std::move(path)), options_(options.toml()) {
  if (!writes) return;
  started(path_, options);  // before even a lock is left in a folder of something else
  lock_ = std::make_unique<FolderLock>(path_, kind_of(options), false);
  started(path_, options);  // again: another process may have begun here before the lock
  remove_leftovers_in(path_);
  if (!std::filesystem::exists(recipe())) write_atomically(recipe(), options_);
}

std::string RunFolder::damage() const {
  if (!std::filesystem::exists(bundle())) return {};
  try {
    load_tensors(bundle());
    return {};
  } catch (const DataError& problem) {
    const std::string text = problem.what();
    return text.substr(0, text.find('\n')) + " The set is made again from what the run keeps";
  }
}

void RunFolder::update_recipe() const {
  if (read_file(recipe()) != options_) write_atomically(recipe(), options_);
}

bool RunFolder::finished(int64_t iterations) const {
  if (!std::filesystem::exists(bundle()) || !damage().empty()) return false;
  for (const Json& record : read_records(records()))
    if (record.value("kind", "") == "finish" &&
        record.value("iteration", int64_t{-1}) == iterations)
      return true;
  return false;
}

}  // namespace retort::methods
