#include "io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/file.h"
#include "retort/core/error.h"

namespace retort {
namespace {

/// Gives what is there a second name, so that writing it anew keeps the old content.
void keep_previous(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return;
  const std::filesystem::path previous = previous_checkpoint(path);
  std::error_code problem;
  std::filesystem::remove(previous, problem);
  std::filesystem::create_hard_link(path, previous, problem);
  if (problem) write_atomically(previous, read_file(path));  // a disk without links
}

}  // namespace

std::filesystem::path previous_checkpoint(const std::filesystem::path& path) {
  return std::filesystem::path(path).replace_extension(".previous" + path.extension().string());
}

void save_checkpoint(const std::filesystem::path& path, const TensorMap& tensors,
                     const std::map<std::string, std::string>& metadata) {
  keep_previous(path);
  save_tensors(path, tensors, metadata);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
  std::string damage;
  try {
    return {load_tensors(path), path.string(), {}};
  } catch (const DataError& problem) {
    damage = problem.what();
    damage.resize(std::min(damage.find(".\n"), damage.size()));
  }
  const std::filesystem::path before = previous_checkpoint(path);
  const std::string name = "'" + before.filename().string() + "', the one before, ";
  std::string state = name + "is not there";
  try {
    if (std::filesystem::exists(before))
      return {
          load_tensors(before), before.string(),
          fmt::format("the last checkpoint cannot be used, the one before it is gone on from ({})",
                      damage)};
  } catch (const DataError&) {
    state = name + "cannot be used either";
  }
  throw DataError(
      ErrorMessage{"going on from '" + path.string() + "'",
                   damage + "; " + state,
                   {},
                   "remove the run's checkpoints to begin anew, or choose another --out"});
}

}  // namespace retort
