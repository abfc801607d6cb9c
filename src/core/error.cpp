// Wording of all user errors. No torch here.
#include "retort/core/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace retort {
namespace {

/// As a sentence, where it is not a question.
std::string closed(const std::string& text) {
  return text.ends_with('?') ? text : text + ".";
}

std::string compose(const ErrorMessage& report) {
  std::string text = report.doing.empty() ? report.found : report.doing + ": " + report.found + ".";
  if (!report.accepted.empty()) text += "\n  accepted: " + closed(report.accepted);
  if (!report.advice.empty()) text += "\n  what to do: " + closed(report.advice);
  return text;
}

/// What to do about a failed file operation, by its errno.
std::string advice_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some disk space and start the same command again";
    case EFBIG:
      return "raise the limit on the size of files (ulimit -f) and start the same command again";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a folder that you may write to";
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case ENAMETOOLONG:
      return "choose a path whose folders exist or can be made";
    default:
      return {};
  }
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

Error::Error(int exit_code, const ErrorMessage& report) : Error(exit_code, compose(report)) {}
Error::Error(int exit_code, const std::string& message)
    : std::runtime_error(message), exit_code_(exit_code) {}

ConfigError ConfigError::unknown(const std::string& doing, std::string_view kind,
                                 std::string_view name,
                                 const std::vector<std::string>& candidates) {
  const std::string near = nearest(name, candidates);
  return ConfigError(ErrorMessage{doing, fmt::format("there is no {} '{}'", kind, name),
                                  joined(candidates),
                                  near.empty() ? "" : fmt::format("did you mean '{}'?", near)});
}

ConfigError ConfigError::many(const std::string& doing, const std::vector<std::string>& problems) {
  if (problems.size() == 1) return ConfigError(doing + ": " + problems.front());
  std::string text = fmt::format("{}: {} problems", doing, problems.size());
  for (const std::string& problem : problems) text += "\n  - " + problem;
  return ConfigError(text);
}

DataError DataError::missing(const std::string& path, const std::string& accepted) {
  return DataError(
      ErrorMessage{"reading '" + path + "'", "it is not there", accepted, "check the path"});
}

DataError DataError::wrong_size(const std::string& path, long long have, long long need,
                                const std::string& record) {
  return DataError(
      ErrorMessage{"reading '" + path + "'",
                   fmt::format("it holds {} bytes where {} are wanted ({})", have, need, record),
                   {},
                   have < need ? "the file is cut short: fetch it again"
                               : "the file is not what its name says: fetch it again"});
}

DataError DataError::damaged(const std::string& path, const std::string& found,
                             const std::string& accepted) {
  return DataError(
      ErrorMessage{"reading '" + path + "'", found, accepted,
                   "fetch the file or make it again: it is damaged or of another kind"});
}

ResourceError ResourceError::absent(const std::string& doing, const std::string& library,
                                    const std::string& package) {
  return ResourceError(ErrorMessage{
      doing, "this build has no " + library, {}, "install " + package + " and build again"});
}

ResourceError ResourceError::io(const std::string& doing) {
  const int code = errno;
  return ResourceError(ErrorMessage{doing, std::strerror(code), {}, advice_for(code)});
}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

namespace {

/// Names that were others before, as keys of recipes: {old, new}. A flag has dashes in them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kRenamed{{
    {"student_learning_rate_rate", "student_rate_learning_rate"},
    {"crop_low", "min_crop_area"},
    {"window_share", "crop_share"},
    {"cosine_to_zero", "cosine"},
    {"clean", "recalibrated"},
}};

/// The key that a flag stands for; a key stays as it is.
std::string key_of(std::string_view name) {
  std::string key(name.substr(name.starts_with("--") ? 2 : 0));
  std::ranges::replace(key, '-', '_');
  return key;
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  for (const auto& [before, now] : kRenamed) {
    if (key_of(name) != before) continue;
    const auto found = std::ranges::find(candidates, now, key_of);
    if (found != candidates.end()) return *found;
  }
  std::string best;
  int best_distance = std::max<int>(2, static_cast<int>(name.size()) / 3) + 1;
  for (const std::string& candidate : candidates) {
    const int distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace retort
