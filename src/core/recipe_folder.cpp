// Folders begun with a recipe, and their lock. No torch here.
#include "retort/core/recipe_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <sstream>
#include <vector>

#include "retort/core/error.h"

namespace retort {
namespace {

using Recipe = std::map<std::string, std::string>;

bool is_number(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  return problem == std::errc() && stop == end;
}

/// The result-changing options whose value is not the recorded one; a larger `growing` is fine.
std::vector<std::string> differences(const OptionSet& options, const Recipe& before,
                                     const std::string& growing) {
  std::vector<std::string> lines;
  for (const Option& option : options.all()) {
    if (option.role == Role::kExecution) continue;
    const auto found = before.find(option.name);
    const std::string old = found == before.end() ? "(absent)" : found->second;
    if (old == option.text()) continue;
    if (option.name == growing && is_number(old) && std::stoll(option.text()) > std::stoll(old))
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

}  // namespace

std::string portable_recipe(const OptionSet& options, const std::string& data_name) {
  std::string text = "data = \"" + data_name + "\"\n", line;
  std::istringstream lines(options.toml());
  for (size_t i = 0; std::getline(lines, line); ++i) {
    const Option& option = options.all()[i];
    if (option.role == Role::kResult && option.name != "init_from" && option.name != "data")
      text += line + "\n";
  }
  return text;
}

std::string opening_folder(const std::filesystem::path& path, const FolderKind& kind) {
  return "opening the " + kind.name + " '" + path.string() + "'";
}

bool folder_started(const std::filesystem::path& path, const OptionSet& options,
                    const FolderKind& kind) {
  std::error_code problem;
  const std::filesystem::file_status status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) return false;
  const std::string opening = opening_folder(path, kind);
  const std::string advice = "choose a new or empty folder with --out";
  if (!std::filesystem::is_directory(status))
    throw StateError(ErrorMessage{opening, "it is a file", "a folder", advice});
  if (!std::filesystem::exists(path / "recipe.toml")) {
    if (!holds_something_else(path)) return false;
    throw StateError(ErrorMessage{opening,
                                  "it holds files but no recipe.toml, so it is not a " + kind.name,
                                  "a " + kind.name + ", or a new or empty folder", advice});
  }
  const auto pairs = read_flat_toml((path / "recipe.toml").string());
  const auto lines = differences(options, {pairs.begin(), pairs.end()}, kind.growing);
  if (lines.empty()) return true;
  throw StateError(ErrorMessage{
      opening, fmt::format("it was started with other options: {}", fmt::join(lines, "; ")),
      kind.growing.empty() ? "the same options" : "the same options, or a larger --" + kind.growing,
      "repeat the first command, or choose another --out"});
}

FolderLock::FolderLock(const std::filesystem::path& path, const FolderKind& kind, bool wait) {
  const std::string doing = opening_folder(path, kind);
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (problem) {
    errno = problem.value();
    throw ResourceError::io(doing);
  }
  file_ = ::open((path / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (file_ < 0) throw ResourceError::io(doing);
  while (::flock(file_, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    ::close(file_);
    throw StateError(ErrorMessage{
        doing, "another process is working in it", {}, "wait for it, or choose another --out"});
  }
}

FolderLock::~FolderLock() {
  ::close(file_);
}

}  // namespace retort
