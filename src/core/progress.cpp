// Progress on a terminal or in a log. No torch here.
#include "retort/core/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/note.h"

namespace retort {
namespace {

/// An estimate is not known to a part of a second.
std::string left_text(double seconds) {
  if (seconds < 1) return "under 1 s";
  return seconds < 60 ? fmt::format("{:.0f} s", seconds) : format_duration(seconds);
}

}  // namespace

Progress::Progress(ProgressStyle style, std::string label, int64_t total, int64_t start)
    : style_(std::move(style)),
      label_(printable(label)),
      total_(total),
      start_(start),
      done_(start),
      begin_(std::chrono::steady_clock::now()),
      drawn_(begin_) {}

Progress::~Progress() {
  if (!style_.out || done_ == start_) return;
  if (shown_ != done_) draw(std::chrono::steady_clock::now());
  if (style_.terminal) *style_.out << "\n" << std::flush;
}

void Progress::update(int64_t done, std::optional<double> loss) {
  done_ = done;
  loss_ = loss;
  if (style_.tell) style_.tell({label_, total_, done_, loss_});
  if (!style_.out) return;
  const auto now = std::chrono::steady_clock::now();
  const auto pause = std::chrono::milliseconds(style_.terminal ? 100 : 10000);
  if (any_ && now - drawn_ < pause) return;
  if (!any_ && !style_.terminal && now - begin_ < std::chrono::seconds(2)) return;
  draw(now);
  drawn_ = now;
  any_ = true;
}

void Progress::draw(std::chrono::steady_clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = seconds > 0 ? (done_ - start_) / seconds : 0;
  std::string tail = fmt::format("{}/{}", done_, total_);
  if (rate > 0)
    tail += rate >= 1 ? fmt::format("  {:.1f}/s", rate)
                      : fmt::format("  {} each", format_duration(1 / rate));
  if (rate > 0 && done_ < total_) tail += "  " + left_text((total_ - done_) / rate) + " left";
  if (done_ >= total_) tail += "  in " + format_duration(seconds);
  if (loss_) tail += fmt::format("  loss {:.4g}", *loss_);
  shown_ = done_;
  if (!style_.terminal) {
    *style_.out << label_ << "  " << tail << "\n" << std::flush;
    return;
  }
  const int64_t room = style_.width - std::ssize(label_) - std::ssize(tail) - 6;
  std::string bar;
  if (room >= 8 && total_ > 0) {
    const int64_t width = std::min<int64_t>(room, 40);
    const int64_t full = std::llround(static_cast<double>(done_) / total_ * width);
    for (int64_t i = 0; i < width; ++i) bar += i < full ? "━" : "·";
    bar += "  ";
  }
  *style_.out << "\r\033[K" << label_ << "  " << bar << tail << std::flush;
}

std::string format_duration(double seconds) {
  if (seconds < 0.001) return fmt::format("{:.0f} µs", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 172800) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} days {} h", whole / 86400, whole % 86400 / 3600);
}

std::string format_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
  return unit == 0 ? fmt::format("{:.0f} bytes", bytes)
                   : fmt::format("{:.3g} {}", bytes, kUnits[unit]);
}

}  // namespace retort
