// A progress bar with rate, time left and the current loss; plain lines, seldom, where the output
// is not a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace retort {

/// How far one piece of work is.
struct ProgressReport {
  const std::string& label;
  int64_t total = 0, done = 0;
  std::optional<double> loss = {};
};

/// Where and how progress is shown. A null stream shows nothing.
struct ProgressStyle {
  std::ostream* out = nullptr;
  bool terminal = false;
  int width = 80;
  /// Told of every update beside that; on the thread that does the work, and must not throw.
  std::function<void(const ProgressReport&)> tell = {};
};

/// Progress of one piece of work; finishes its line on destruction.
class Progress {
 public:
  /// `start` units were done before (a resumed run): they do not count for the rate.
  Progress(ProgressStyle style, std::string label, int64_t total, int64_t start = 0);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  /// Redraws at most ten times a second on a terminal, else a line at most every ten seconds.
  void update(int64_t done, std::optional<double> loss = {});

 private:
  void draw(std::chrono::steady_clock::time_point now);
  ProgressStyle style_;
  std::string label_;
  int64_t total_, start_, done_;
  std::optional<double> loss_;
  std::chrono::steady_clock::time_point begin_, drawn_;
  bool any_ = false;
  int64_t shown_ = -1;  ///< the count on the last drawn line
};

/// "1 h 02 min", "3 min 20 s", "4.2 s".
std::string format_duration(double seconds);
/// "1.3 MB" (decimal units).
std::string format_bytes(double bytes);

}  // namespace retort
