// No torch here.
#include "report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"

namespace retort::report {
namespace {

// The drawing in its own units; the page scales it.
constexpr double kCharacter = 6.6;  // width of one at the size of the text
constexpr size_t kLongest = 18;     // characters of a name; longer are cut
constexpr size_t kMostTexts = 20;   // rows or columns up to which cells show their numbers
constexpr size_t kMostNames = 40;   // and up to which rows and columns show their names

std::string cut(const std::string& name) {
  if (name.size() <= kLongest) return name;
  size_t end = kLongest - 1;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end) + "…";
}

size_t longest(const std::vector<std::string>& names) {
  size_t most = 0;
  for (const std::string& name : names) most = std::max(most, std::min(name.size(), kLongest));
  return most;
}

/// Where everything lies.
struct Layout {
  bool texts = false, names = false;
  double cell_width = 6, cell_height = 6, left = 4, top = 4;

  explicit Layout(const HeatMap& map) {
    const size_t most = std::max(map.rows.size(), map.columns.size());
    texts = most <= kMostTexts;
    names = most <= kMostNames;
    size_t digits = 0;
    for (const auto& row : map.texts)
      for (const std::string& text : row) digits = std::max(digits, text.size());
    if (texts)
      cell_width = std::max(30.0, kCharacter * static_cast<double>(digits) + 10), cell_height = 30;
    else if (names)
      cell_width = cell_height = 16;
    if (!names) return;
    left = kCharacter * static_cast<double>(longest(map.rows)) + 12;
    top = kCharacter * static_cast<double>(longest(map.columns)) * 0.75 + 14;
  }
  double x(size_t column) const { return left + cell_width * static_cast<double>(column); }
  double y(size_t row) const { return top + cell_height * static_cast<double>(row); }
};

/// How strongly a cell is filled, 0 to 1; nothing where there is no value.
double strength(const HeatMap& map, double value) {
  const double range = map.high - map.low;
  return std::isfinite(value) && range > 0 ? std::clamp((value - map.low) / range, 0.0, 1.0) : 0;
}

std::string cell(const HeatMap& map, const Layout& layout, size_t r, size_t c) {
  const double fill = strength(map, map.values[r][c]);
  const bool marked =
      std::count(map.marked.begin(), map.marked.end(), std::pair<size_t, size_t>(r, c)) > 0;
  std::string svg;
  if (fill > 0.004 || marked)
    svg += fmt::format(
        "<rect class=\"heat{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "fill-opacity=\"{:.2f}\"/>",
        marked ? " own" : "", layout.x(c) + 1, layout.y(r) + 1, layout.cell_width - 2,
        layout.cell_height - 2, fill);
  const bool text = layout.texts && r < map.texts.size() && c < map.texts[r].size();
  if (text && !map.texts[r][c].empty())
    svg += fmt::format(
        "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\" "
        "text-anchor=\"middle\">{}</text>",
        fill > 0.55 ? "on" : "off", layout.x(c) + layout.cell_width / 2,
        layout.y(r) + layout.cell_height / 2, escape(map.texts[r][c]));
  return svg;
}

std::string names(const HeatMap& map, const Layout& layout) {
  std::string svg;
  for (size_t r = 0; r < map.rows.size(); ++r)
    svg += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\" text-anchor=\"end\">{}</text>\n",
        layout.left - 6, layout.y(r) + layout.cell_height / 2, escape(cut(map.rows[r])));
  for (size_t c = 0; c < map.columns.size(); ++c) {
    const double x = layout.x(c) + layout.cell_width / 2 + 3, y = layout.top - 6;
    svg += fmt::format(
        "<text x=\"{0:.1f}\" y=\"{1:.1f}\" transform=\"rotate(-45 {0:.1f} {1:.1f})\">"
        "{2}</text>\n",
        x, y, escape(cut(map.columns[c])));
  }
  return svg;
}

}  // namespace

std::string heat_map_html(const HeatMap& map, const std::string& id) {
  const Layout layout(map);
  const double slant =
      layout.names ? kCharacter * static_cast<double>(longest(map.columns)) * 0.75 : 0;
  const double width = layout.x(map.columns.size()) + slant + 4;
  const double height = layout.y(map.rows.size()) + 4;
  std::string html = fmt::format(
      "<figure class=\"heat-map\"><figcaption id=\"{0}-title\">{1}</figcaption>\n"
      "<svg viewBox=\"0 0 {2:.0f} {3:.0f}\" style=\"max-width:{4:.0f}px\" role=\"img\" "
      "aria-labelledby=\"{0}-title\">\n",
      id, escape(map.caption), width, height, 1.25 * width);
  html += fmt::format(
      "<rect class=\"frame\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n",
      layout.left, layout.top, layout.x(map.columns.size()) - layout.left,
      layout.y(map.rows.size()) - layout.top);
  if (layout.names) html += names(map, layout);
  for (size_t r = 0; r < map.values.size(); ++r) {
    for (size_t c = 0; c < map.values[r].size(); ++c) html += cell(map, layout, r, c);
    html += "\n";
  }
  return html + "</svg></figure>\n";
}

}  // namespace retort::report
