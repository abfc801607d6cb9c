// No torch here.
#include "report/tabulate.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace retort::report {
namespace {

/// Text for LaTeX. "±" becomes a formula.
std::string latex(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (rest.starts_with("\u00a0")) {
      out += "~";
      ++i;
    } else if (rest.starts_with("±")) {
      out += "$\\pm$";
      ++i;
    } else if (std::string_view("&%$#_{}").find(text[i]) != std::string_view::npos) {
      out += std::string("\\") + text[i];
    } else if (text[i] == '\\') {
      out += "\\textbackslash{}";
    } else if (text[i] == '~' || text[i] == '^') {
      out += std::string("\\") + text[i] + "{}";
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.10g}", value) : "";
}

std::string csv_of(const std::vector<std::vector<std::pair<std::string, std::string>>>& rows) {
  std::string text;
  if (rows.empty()) return text;
  for (size_t i = 0; i < rows.front().size(); ++i)
    text += (i > 0 ? "," : "") + csv_text(rows.front()[i].first);
  for (const auto& row : rows) {
    text += "\n";
    for (size_t i = 0; i < row.size(); ++i) text += (i > 0 ? "," : "") + csv_text(row[i].second);
  }
  return text + "\n";
}

std::string latex_table(const Table& table) {
  std::string out = "% " + table.caption + "\n\\begin{tabular}{l" +
                    std::string(table.head.size() - 1, 'r') + "}\n\\hline\n";
  const auto line = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) out += (i > 0 ? " & " : "") + latex(cells[i]);
    out += " \\\\\n";
  };
  line(table.head);
  out += "\\hline\n";
  for (const auto& row : table.rows) line(row);
  return out + "\\hline\n\\end{tabular}\n";
}

}  // namespace retort::report
