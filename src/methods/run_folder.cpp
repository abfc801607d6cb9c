#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <map>

#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/methods/distill.h"

namespace retort::methods {
namespace {

using Recipe = std::map<std::string, std::string>;

Recipe read_recipe(const std::filesystem::path& path) {
  const auto pairs = read_flat_toml(path.string());
  return {pairs.begin(), pairs.end()};
}

bool is_number(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  return problem == std::errc() && stop == end;
}

/// The result-changing options whose value is not the recorded one; a larger `iterations` is fine.
std::vector<std::string> differences(const OptionSet& options, const Recipe& before) {
  std::vector<std::string> lines;
  for (const Option& option : options.all()) {
    if (option.role == Role::kExecution) continue;
    const auto found = before.find(option.name);
    const std::string old = found == before.end() ? "(absent)" : found->second;
    if (old == option.text()) continue;
    if (option.name == "iterations" && is_number(old) &&
        std::stoll(option.text()) > std::stoll(old))
      continue;
    lines.push_back(fmt::format("{}: was {}, now {}", option.name, old, option.text()));
  }
  return lines;
}

/// Anything but what a start that was killed early, or the whitening of its data, leaves behind.
bool holds_something_else(const std::filesystem::path& path) {
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name != "cache" && !name.starts_with(".lock") && !name.starts_with("recipe.toml.partial"))
      return true;
  }
  return false;
}

std::string opening(const std::filesystem::path& path) {
  return "opening the run folder '" + path.string() + "'";
}

}  // namespace

bool RunFolder::started(const std::filesystem::path& path, const OptionSet& options) {
  std::error_code problem;
  const std::filesystem::file_status status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) return false;
  const std::string advice = "choose a new or empty folder with --out";
  if (!std::filesystem::is_directory(status))
    throw StateError(Report{opening(path), "it is a file", "a folder", advice});
  if (!std::filesystem::exists(path / "recipe.toml")) {
    if (!holds_something_else(path)) return false;
    throw StateError(Report{opening(path),
                            "it holds files but no recipe.toml, so it is not a run folder",
                            "a run folder, or a new or empty folder", advice});
  }
  const auto lines = differences(options, read_recipe(path / "recipe.toml"));
  if (lines.empty()) return true;
  throw StateError(Report{
      opening(path), fmt::format("it was started with other options: {}", fmt::join(lines, "; ")),
      "the same options, or a larger --iterations",
      "repeat the first command, or choose another --out"});
}

RunFolder::RunFolder(std::filesystem::path path, const OptionSet& options)
    : path_(std::move(path)), options_(options.toml()) {
  started(path_, options);  // before even a lock is left in a folder of something else
  const std::string doing = opening(path_);
  std::error_code problem;
  std::filesystem::create_directories(path_, problem);
  if (problem) {
    errno = problem.value();
    throw ResourceError::io(doing);
  }
  lock_ = ::open((path_ / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (lock_ < 0) throw ResourceError::io(doing);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw StateError(Report{
        doing, "another process is working in it", {}, "wait for it, or choose another --out"});
  started(path_, options);  // again: another process may have begun here before the lock
  if (!std::filesystem::exists(recipe())) write_atomically(recipe(), options_);
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

void RunFolder::update_recipe() const {
  if (read_file(recipe()) != options_) write_atomically(recipe(), options_);
}

bool RunFolder::finished(int64_t iterations) const {
  if (!std::filesystem::exists(bundle())) return false;
  for (const Json& record : read_records(records()))
    if (record.value("kind", "") == "finish" &&
        record.value("iteration", int64_t{-1}) == iterations)
      return true;
  return false;
}

}  // namespace retort::methods
