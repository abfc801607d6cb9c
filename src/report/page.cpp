// A page as HTML. No torch here.
#include "retort/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "report/chart.h"
#include "report/heat_map.h"
#include "report/html.h"
#include "report/style.h"

namespace retort::report {
namespace {

/// Width and height from the head of PNG bytes, as attributes: the page does not jump on loading.
std::string size_attributes(const std::string& png) {
  if (png.size() < 24 || png.compare(1, 3, "PNG") != 0) return {};
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(png[i]);
    return value;
  };
  return fmt::format(" width=\"{}\" height=\"{}\"", number(16), number(20));
}

std::string pictures_html(const std::vector<Figure>& pictures) {
  if (pictures.empty()) return {};
  std::string html = "<section>\n<h2>Images</h2>\n<div class=\"pictures\">\n";
  for (const Figure& picture : pictures) {
    const std::string caption = escape(picture.caption);
    html += "<figure class=\"picture\"><div class=\"mat\"><img alt=\"" + caption + "\"" +
            size_attributes(picture.png) + " src=\"data:image/png;base64," + base64(picture.png) +
            "\"></div><figcaption>" + caption + "</figcaption></figure>\n";
  }
  return html + "</div>\n</section>\n";
}

/// The number that a cell starts with.
std::optional<double> leading_number(std::string_view cell) {
  if (!cell.empty() && cell.front() == '+') cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || cell.empty()) return std::nullopt;
  return value;
}

/// Whether all cells of a column are numbers or empty, and there is a number.
bool is_numeric(const Table& table, size_t column) {
  bool any = false;
  for (const auto& row : table.rows) {
    if (column >= row.size() || row[column].empty()) continue;
    if (!leading_number(row[column])) return false;
    any = true;
  }
  return any;
}

/// Where rows are stacked, every cell has the name of its column beside it.
std::string cell_html(const Table& table, const std::string& cell, size_t column, bool numeric) {
  if (column == 0 && !numeric) return "<th scope=\"row\">" + escape(cell) + "</th>";
  const std::string name = column < table.head.size() ? table.head[column] : "";
  const std::string rest = " data-name=\"" + escape(name) + "\">" + escape(cell) + "</td>";
  const std::optional<double> value = leading_number(cell);
  if (static_cast<int>(column) == table.percent_column && value)
    return fmt::format("<td class=\"n percent\" style=\"--v:{:.1f}%\"",
                       std::clamp(*value, 0.0, 100.0)) +
           rest;
  return (numeric ? "<td class=\"n\"" : "<td") + rest;
}

std::string row_html(const Table& table, size_t index) {
  const auto& row = table.rows[index];
  const bool strong = std::count(table.strong_rows.begin(), table.strong_rows.end(), index) > 0;
  std::string html = strong ? "<tr class=\"strong\">" : "<tr>";
  for (size_t c = 0; c < row.size(); ++c) html += cell_html(table, row[c], c, is_numeric(table, c));
  return html + "</tr>\n";
}

/// The caption stands outside of the box that scrolls, so that a phone shows all of it. A phone
/// stacks the cells of wide rows.
std::string table_html(const Table& table, const std::string& id) {
  constexpr size_t kNarrow = 3, kWide = 9;  // columns that fit any screen; that crowd one
  std::string html = fmt::format(
      "<figure class=\"table\"><figcaption id=\"{0}\">{1}</figcaption>\n<div class=\"scroll{2}\" "
      "role=\"region\" tabindex=\"0\" aria-labelledby=\"{0}\"><table aria-labelledby=\"{0}\">\n"
      "<thead><tr>",
      id, escape(table.caption),
      table.head.size() > kWide     ? " stack wide"
      : table.head.size() > kNarrow ? " stack"
                                    : "");
  for (size_t c = 0; c < table.head.size(); ++c)
    html += std::string("<th scope=\"col\"") + (is_numeric(table, c) ? " class=\"n\">" : ">") +
            escape(table.head[c]) + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) html += row_html(table, r);
  return html + "</tbody></table></div></figure>\n";
}

std::string merit_html(const Page& page) {
  if (page.figures_of_merit.empty()) return {};
  std::string html = "<dl class=\"merit\">\n";
  for (const auto& [name, value] : page.figures_of_merit)
    html += "<div><dt>" + escape(name) + "</dt><dd>" + escape(value) + "</dd></div>\n";
  return html + "</dl>\n";
}

std::string heat_maps_html(const std::vector<HeatMap>& maps) {
  std::string html;
  for (size_t i = 0; i < maps.size(); ++i)
    html += heat_map_html(maps[i], fmt::format("heat-map-{}", i + 1));
  return html;
}

std::string tables_html(const Page& page) {
  if (page.tables.empty() && page.heat_maps.empty()) return {};
  std::string html = "<section>\n<h2>" + escape(page.tables_title) + "</h2>\n";
  for (size_t i = 0; i < page.tables.size(); ++i)
    html += table_html(page.tables[i], fmt::format("table-{}", i + 1));
  return html + heat_maps_html(page.heat_maps) + "</section>\n";
}

std::string charts_html(const std::vector<Chart>& charts) {
  if (charts.empty()) return {};
  std::string html = "<section>\n<h2>Curves</h2>\n<div class=\"charts\">\n";
  for (size_t i = 0; i < charts.size(); ++i)
    html += chart_html(charts[i], fmt::format("chart-{}", i + 1));
  return html + "</div>\n</section>\n";
}

std::string notes_html(const std::vector<std::string>& notes) {
  if (notes.empty()) return {};
  std::string html = "<section>\n<h2>Notes</h2>\n<ul class=\"notes\">\n";
  for (const std::string& note : notes) html += "<li>" + escape(note) + "</li>\n";
  return html + "</ul>\n</section>\n";
}

std::string run_html(const Page& page) {
  if (page.facts.empty() && page.recipe.empty()) return {};
  std::string html = "<section>\n<h2>How it was run</h2>\n";
  if (!page.facts.empty()) {
    html += "<div class=\"table\"><table class=\"facts\"><tbody>\n";
    for (const auto& [name, value] : page.facts)
      html +=
          "<tr><th scope=\"row\">" + escape(name) + "</th><td>" + escape(value) + "</td></tr>\n";
    html += "</tbody></table></div>\n";
  }
  // A line break right after <pre> is not part of its text.
  if (!page.recipe.empty())
    html += "<details open><summary>Recipe</summary><pre tabindex=\"0\">\n" + escape(page.recipe) +
            "</pre></details>\n";
  return html + "</section>\n";
}

}  // namespace

std::string render(const Page& page) {
  // The policy makes a browser refuse whatever is not in the file.
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "img-src data:; style-src 'unsafe-inline'\">\n<link rel=\"icon\" href=\"data:,\">\n<title>" +
      escape(page.title) + "</title>\n<style>" + std::string(kStyle) +
      "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + escape(page.title) + "</h1>\n";
  if (!page.summary.empty()) html += "<p class=\"summary\">" + escape(page.summary) + "</p>\n";
  html += merit_html(page) + "</header>\n" + pictures_html(page.pictures) + tables_html(page);
  html += charts_html(page.charts) + notes_html(page.notes) + run_html(page);
  return html +
         "<footer>Made by retort. The page is this one file; it loads nothing.</footer>\n"
         "</main>\n</body>\n</html>\n";
}

}  // namespace retort::report
