// The errors a user can act on. Programming mistakes are not Errors: they are TORCH_CHECK or
// TORCH_INTERNAL_ASSERT in numeric code.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

/// What a message must answer, in this order. `accepted` and `advice` may be empty.
struct ErrorMessage {
  std::string doing;     ///< what was being done, such as "reading 'a/b.bin'"
  std::string found;     ///< what was found
  std::string accepted;  ///< what would have been accepted
  std::string advice;    ///< what to do
};

/// Base of all user errors. what() is the whole message, ready to print.
class Error : public std::runtime_error {
 public:
  /// Process exit code of this kind: 2 config, 3 data, 4 resource, 5 state.
  int exit_code() const { return exit_code_; }

 protected:
  Error(int exit_code, const ErrorMessage& report);
  Error(int exit_code, const std::string& message);

 private:
  int exit_code_;
};

/// A flag, a recipe key or a combination of them is not acceptable.
class ConfigError : public Error {
 public:
  explicit ConfigError(const ErrorMessage& report) : Error(2, report) {}
  /// An unknown name: lists the candidates and the nearest spelling.
  static ConfigError unknown(const std::string& doing, std::string_view kind, std::string_view name,
                             const std::vector<std::string>& candidates);
  /// All problems of a recipe or command line at once, one a line.
  static ConfigError many(const std::string& doing, const std::vector<std::string>& problems);

 private:
  explicit ConfigError(const std::string& message) : Error(2, message) {}
};

/// A file or data set is missing, damaged or not what it should be.
class DataError : public Error {
 public:
  explicit DataError(const ErrorMessage& report) : Error(3, report) {}
  static DataError missing(const std::string& path, const std::string& accepted);
  /// `path` holds `have` bytes where `need` are wanted.
  static DataError wrong_size(const std::string& path, long long have, long long need,
                              const std::string& record);
  /// A damaged file: `found` says what is wrong where.
  static DataError damaged(const std::string& path, const std::string& found,
                           const std::string& accepted = {});
};

/// A device, memory, disk space or an optional library is missing.
class ResourceError : public Error {
 public:
  explicit ResourceError(const ErrorMessage& report) : Error(4, report) {}
  /// This build lacks an optional library.
  static ResourceError absent(const std::string& doing, const std::string& library,
                              const std::string& package);
  /// A failed file operation; reads errno.
  static ResourceError io(const std::string& doing);
};

/// A run folder, checkpoint or bundle does not fit what was asked of it, or a run became NaN.
class StateError : public Error {
 public:
  explicit StateError(const ErrorMessage& report) : Error(5, report) {}
};

/// Edit distance with transpositions (optimal string alignment).
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name`, or empty when none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace retort
