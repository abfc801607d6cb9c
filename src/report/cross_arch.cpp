// No torch here.
#include "report/cross_arch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "core/interval.h"
#include "report/cross_cells.h"
#include "report/tabulate.h"

namespace retort::report {
namespace {

std::vector<std::string> notes_of(const Cross& cross, const Json& found) {
  std::vector<std::string> notes;
  const double held = number(found, "held_out_images");
  std::string chosen = "Rates are chosen by one student on " +
                       (std::isfinite(held) ? whole(held) + " images" : std::string("images")) +
                       " of the training part (or the data's validation part), which sets may have "
                       "been made from; the test part is used once, by the students of the figure.";
  notes.push_back(std::move(chosen));
  const bool at_end = std::any_of(cross.rows.begin(), cross.rows.end(), [](const CrossRow& row) {
    return std::any_of(row.cells.begin(), row.cells.end(),
                       [](const CrossCell& cell) { return cell.at_end; });
  });
  if (at_end)
    notes.emplace_back(
        "* The smallest or largest rate that was tried: one beyond it may be better. Give more of "
        "them with --rates.");
  notes.emplace_back("One set each: the deviation is over students, not over sets.");
  return notes;
}

}  // namespace

Page cross_arch_page(const Json& found) {
  const Cross cross = cross_of(found);
  const auto sets = std::count_if(cross.rows.begin(), cross.rows.end(),
                                  [](const CrossRow& row) { return !row.random; });
  Page page;
  page.title = fmt::format("{} and {} on {}", count(static_cast<double>(sets), "set"),
                           count(static_cast<double>(cross.networks.size()), "network"),
                           text(found, "data"));
  page.summary = fmt::format(
      "Each network is trained from scratch on each set, at the learning rate that is best for the "
      "two, and tested on {} images.",
      whole(number(found, "test_images")));
  for (const bool soft : {false, true}) {
    if (cross.with(soft).empty()) continue;
    page.tables.push_back(cross_accuracies(cross, soft));
    page.heat_maps.push_back(cross_heat_map(cross, soft));
  }
  page.tables.push_back(transfer_table(cross));
  page.tables.push_back(rate_table(cross));
  page.tables.push_back(set_table(cross));
  page.notes = notes_of(cross, found);
  for (const auto& [name, key] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Data", "data"},
           {"Data hash", "data_hash"},
           {"Split", "split"},
           {"Students", "students"},
           {"Seed", "seed"},
           {"Date", "date"},
           {"retort version", "program_version"}})
    if (const std::string value = text(found, key); !value.empty())
      page.facts.emplace_back(name, value);
  return page;
}

std::string cross_arch_csv(const Json& found) {
  const Cross cross = cross_of(found);
  std::vector<std::vector<std::pair<std::string, std::string>>> rows;
  for (const CrossRow& row : cross.rows)
    for (size_t n = 0; n < row.cells.size(); ++n) {
      const CrossCell& cell = row.cells[n];
      const CrossRow* random = cross.find(row.baseline);
      const Interval interval = interval_of(cell.accuracies);
      const bool there = !cell.accuracies.empty();
      auto& cells = rows.emplace_back();
      cells = {{"set", row.name},
               {"method", text(row.about, "method")},
               {"made_with", row.made_with},
               {"protocol", text(row.about, "protocol")},
               {"network", cross.networks[n]},
               {"labels", cell.labels},
               {"images", csv_number(number(row.about, "images"))},
               {"image_bytes", csv_number(number(row.about, "image_bytes"))},
               {"label_bytes", csv_number(cell.label_bytes)},
               {"teacher_bytes", csv_number(cell.teacher_bytes)},
               {"rate", csv_number(cell.rate)},
               {"students", there ? std::to_string(cell.accuracies.size()) : ""}};
      for (const bool soft : {false, true}) {
        const std::string begin = soft ? "soft_" : "hard_";
        const bool here = there && row.soft == soft;
        cells.emplace_back(begin + "mean", here ? csv_number(interval.mean) : "");
        cells.emplace_back(begin + "deviation", here ? csv_number(cell.deviation()) : "");
        cells.emplace_back(begin + "low", here ? csv_number(interval.low) : "");
        cells.emplace_back(begin + "high", here ? csv_number(interval.high) : "");
      }
      cells.emplace_back("random_mean", random ? csv_number(random->cells[n].mean()) : "");
      for (const char* key :
           {"data", "data_hash", "split", "test_images", "held_out_images", "seed", "date"})
        cells.emplace_back(key, text(found, key));
    }
  return csv_of(rows);
}

std::string cross_arch_latex(const Json& found) {
  const Cross cross = cross_of(found);
  std::string out;
  for (const bool soft : {false, true})
    if (!cross.with(soft).empty()) out += latex_table(cross_accuracies(cross, soft)) + "\n";
  return out + latex_table(transfer_table(cross));
}

}  // namespace retort::report
