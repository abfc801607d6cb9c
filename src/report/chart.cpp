// No torch here.
#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "report/axis.h"
#include "report/html.h"

namespace retort::report {
namespace {

// The drawing in its own units; the page scales it. Text sizes are in page.css.
constexpr double kWidth = 460, kHeight = 280;
constexpr double kLeft = 56, kRight = 18, kTop = 30, kBottom = 46;
constexpr size_t kMostPoints = 400;
constexpr size_t kFewPoints = 40;  // lines of at most so many points show each one
constexpr int kColours = 6, kDashes = 4;
// Beyond this doubles no longer leave room for the sums of an axis.
constexpr double kLargest = 1e300;

struct Frame {
  Axis x, y;
  double left(double value) const { return kLeft + x.position(value) * (kWidth - kLeft - kRight); }
  double top(double value) const {
    return kHeight - kBottom - y.position(value) * (kHeight - kTop - kBottom);
  }
};

bool drawable(const std::pair<double, double>& point, bool log_y) {
  return std::abs(point.first) < kLargest && std::abs(point.second) < kLargest &&
         (!log_y || point.second > 1 / kLargest);
}

/// The stretches of a series between points that cannot be drawn.
std::vector<Points> stretches(const Series& series, bool log_y) {
  std::vector<Points> result;
  bool open = false;
  for (const auto& point : series.points) {
    const bool shown = drawable(point, log_y);
    if (shown && !open) result.emplace_back();
    if (shown) result.back().push_back(point);
    open = shown;
  }
  return result;
}

double deviation_of(const Series& series, size_t i) {
  const bool known = i < series.deviations.size() && std::abs(series.deviations[i]) < kLargest;
  return known ? std::abs(series.deviations[i]) : 0;
}

struct Range {
  double low = 0, high = 0;
  bool any = false;
  void take(double value) {
    low = any ? std::min(low, value) : value;
    high = any ? std::max(high, value) : value;
    any = true;
  }
  /// A range that nearly reaches zero is read more honestly with zero in it.
  void reach_zero() {
    if (low > 0 && low <= 0.25 * high) low = 0;
  }
};

/// Nothing where no point can be drawn.
std::optional<Frame> frame_of(const Chart& chart) {
  Range x, y;
  for (const Series& series : chart.series)
    for (size_t i = 0; i < series.points.size(); ++i) {
      const auto [at, value] = series.points[i];
      if (!drawable(series.points[i], chart.log_y)) continue;
      x.take(at);
      y.take(value);
      const double deviation = deviation_of(series, i);
      y.take(value + deviation);
      if (!chart.log_y || value > deviation) y.take(value - deviation);
    }
  if (!x.any) return std::nullopt;
  x.reach_zero();
  if (!chart.log_y) y.reach_zero();
  return Frame{linear_axis(x.low, x.high, 6, false),
               chart.log_y ? log_axis(y.low, y.high) : linear_axis(y.low, y.high, 5, true)};
}

std::string grid(const Frame& frame) {
  std::string svg;
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  for (size_t i = 0; i < frame.y.ticks.size(); ++i) {
    const double y = frame.top(frame.y.ticks[i]);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\" text-anchor=\"end\">{}</text>\n",
        kLeft, y, right, y, kLeft - 7, y, frame.y.labels[i]);
  }
  for (size_t i = 0; i < frame.x.ticks.size(); ++i) {
    const double x = frame.left(frame.x.ticks[i]);
    svg += fmt::format(
        "<line class=\"tick\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
        x, bottom, x, bottom + 4, x, bottom + 18, frame.x.labels[i]);
  }
  return svg + fmt::format(
                   "<line class=\"axis\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" "
                   "y2=\"{:.1f}\"/>\n",
                   kLeft, bottom, right, bottom);
}

std::string axis_names(const Chart& chart) {
  return fmt::format(
      "<text class=\"name\" x=\"2\" y=\"14\">{}</text>"
      "<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
      escape(chart.y_label), kWidth - kRight, kHeight - 6, escape(chart.x_label));
}

/// The class attribute that gives a series its colour and dashes.
std::string style_of(const Series& series, int number) {
  return fmt::format("s{} d{}{}", number % kColours, number % kDashes,
                     series.background ? " back" : "");
}

std::string dot(const Frame& frame, const std::pair<double, double>& point) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\"/>", frame.left(point.first),
                     frame.top(point.second));
}

std::string polyline(const Frame& frame, const Points& points) {
  std::string path = "<polyline points=\"";
  for (const auto& [x, y] : points)
    path += fmt::format("{:.1f},{:.1f} ", frame.left(x), frame.top(y));
  path.back() = '"';
  return path + "/>";
}

std::string error_bars(const Frame& frame, const Series& series, bool log_y) {
  std::string svg;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const double deviation = deviation_of(series, i);
    if (deviation == 0 || !drawable(series.points[i], log_y)) continue;
    const auto [x, y] = series.points[i];
    const double low = log_y ? std::max(y - deviation, frame.y.low) : y - deviation;
    svg += fmt::format(
        "<line class=\"bar\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>",
        frame.left(x), frame.top(low), frame.top(y + deviation));
  }
  return svg;
}

std::string draw_series(const Frame& frame, const Series& series, int number, bool log_y) {
  std::string svg = fmt::format("<g class=\"{}\">", style_of(series, number));
  svg += error_bars(frame, series, log_y);
  if (series.dots) {
    for (const auto& point : series.points)
      if (drawable(point, log_y)) svg += dot(frame, point);
    return svg + "</g>\n";
  }
  const size_t total = std::max<size_t>(series.points.size(), 1);
  for (const Points& stretch : stretches(series, log_y)) {
    const size_t share = std::max<size_t>(kMostPoints * stretch.size() / total, 2);
    if (stretch.size() > 1) svg += polyline(frame, thin(stretch, share));
    if (stretch.size() == 1 || (series.points.size() <= kFewPoints && !series.background))
      for (const auto& point : stretch) svg += dot(frame, point);
  }
  return svg + "</g>\n";
}

std::string legend(const Chart& chart) {
  if (chart.series.size() < 2) return {};
  std::string html = "<ul class=\"legend\">";
  int number = 0;
  for (const Series& series : chart.series) {
    html += fmt::format(
        "<li><svg class=\"key\" viewBox=\"0 0 26 8\" aria-hidden=\"true\"><g class=\"{}\">"
        "<polyline points=\"1,4 25,4\"/></g></svg>{}</li>",
        style_of(series, number), escape(series.name));
    if (!series.background) ++number;
  }
  return html + "</ul>\n";
}

/// What a reader who does not see the drawing is told.
std::string description(const Chart& chart) {
  std::string text = chart.y_label + " against " + chart.x_label + ".";
  for (const Series& series : chart.series) {
    Points shown;
    for (const auto& point : series.points)
      if (drawable(point, chart.log_y)) shown.push_back(point);
    text += fmt::format(" {}: ", series.name.empty() ? "Line" : series.name);
    if (shown.empty())
      text += "no points.";
    else
      text += fmt::format("{} points, from {:.4g} at {:.6g} to {:.4g} at {:.6g}.", shown.size(),
                          shown.front().second, shown.front().first, shown.back().second,
                          shown.back().first);
  }
  return text;
}

std::string missing_note(const Chart& chart) {
  int64_t missing = 0;
  for (const Series& series : chart.series)
    for (const auto& point : series.points) missing += drawable(point, chart.log_y) ? 0 : 1;
  if (missing == 0) return {};
  return fmt::format("<p class=\"aside\">Not drawn: {} value{} not finite{}.</p>\n", missing,
                     missing == 1 ? " that is" : "s that are",
                     chart.log_y ? " or not positive" : "");
}

}  // namespace

Points thin(const Points& points, size_t limit) {
  if (points.size() <= limit) return points;
  const size_t buckets = std::max<size_t>(limit / 2, 1);
  const auto lower = [&](size_t a, size_t b) { return points[a].second < points[b].second; };
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<size_t> kept = {0};  // the ends of the line stay
  for (size_t b = 0; b < buckets; ++b) {
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(b * order.size() / buckets);
    const auto last = order.begin() + static_cast<std::ptrdiff_t>((b + 1) * order.size() / buckets);
    const auto [least, greatest] = std::minmax_element(first, last, lower);
    kept.push_back(std::min(*least, *greatest));
    kept.push_back(std::max(*least, *greatest));
  }
  kept.push_back(points.size() - 1);
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  Points result;
  for (const size_t i : kept) result.push_back(points[i]);
  return result;
}

std::string chart_html(const Chart& chart, const std::string& id) {
  const std::optional<Frame> frame = frame_of(chart);
  std::string html = "<figure class=\"chart\">\n<figcaption>" + escape(chart.title) +
                     "</figcaption>\n" + legend(chart);
  html += fmt::format(
      "<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" aria-labelledby=\"{2}-title {2}-desc\">\n"
      "<title id=\"{2}-title\">{3}</title><desc id=\"{2}-desc\">{4}</desc>\n",
      kWidth, kHeight, id, escape(chart.title), escape(description(chart)));
  if (frame) {
    html += grid(*frame) + axis_names(chart);
    int number = 0;
    for (const Series& series : chart.series) {
      html += draw_series(*frame, series, number, chart.log_y);
      if (!series.background) ++number;
    }
  } else {
    html += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">no data</text>\n",
                        kWidth / 2, kHeight / 2);
  }
  return html + "</svg>\n" + missing_note(chart) + "</figure>\n";
}

}  // namespace retort::report
