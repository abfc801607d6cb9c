#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

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

/// The result-changing options whose value is not the recorded one; a larger `iterations` is fine.
std::vector<std::string> differences(const OptionSet& options, const Recipe& before) {
  std::vector<std::string> lines;
  for (const Option& option : options.all()) {
    if (option.role == Role::kExecution) continue;
    const auto found = before.find(option.name);
    const std::string old = found == before.end() ? "(absent)" : found->second;
    if (old == option.text()) continue;
    if (option.name == "iterations" && std::stoll(option.text()) > std::stoll(old)) continue;
    lines.push_back(fmt::format("{}: was {}, now {}", option.name, old, option.text()));
  }
  return lines;
}

bool holds_something_else(const std::filesystem::path& path) {
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (!entry.path().filename().string().starts_with(".lock")) return true;
  return false;
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path, const OptionSet& options)
    : path_(std::move(path)) {
  const std::string doing = "opening the run folder '" + path_.string() + "'";
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
  if (!std::filesystem::exists(recipe())) {
    if (holds_something_else(path_))
      throw StateError(Report{doing,
                              "it holds files but no recipe.toml, so it is not a run folder",
                              {},
                              "choose a new or empty folder with --out"});
  } else {
    const auto lines = differences(options, read_recipe(recipe()));
    if (!lines.empty())
      throw StateError(Report{
          doing, fmt::format("it was started with other options: {}", fmt::join(lines, "; ")),
          "the same options, or a larger --iterations",
          "repeat the first command, or choose another --out"});
  }
  const std::string text = options.toml();
  if (!std::filesystem::exists(recipe()) || read_file(recipe()) != text)
    write_atomically(recipe(), text);
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
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
