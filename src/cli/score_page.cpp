#include "cli/score_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/version.h"

namespace retort::cli {
namespace {

using eval::Score;

/// "12.3 [11.0, 13.6]" of fractions, as percent or as they are.
std::string interval(const Interval& found, double scale, int digits) {
  std::string text = fmt::format("{:.{}f}", scale * found.mean, digits);
  if (std::isfinite(found.low))
    text +=
        fmt::format(" [{:.{}f}, {:.{}f}]", scale * found.low, digits, scale * found.high, digits);
  return text;
}

std::string percent_of(const std::vector<double>& accuracies) {
  return interval(interval_of(accuracies), 100, 1);
}

/// The coresets that any of the sets stands beside, in their order.
std::vector<std::string> coresets_of(const std::vector<Score>& scores) {
  std::vector<std::string> names;
  for (const std::string& method : eval::coreset_methods())
    if (std::ranges::any_of(scores, [&](const Score& s) { return s.has(method, "hard"); }))
      names.push_back(method);
  return names;
}

report::Table accuracies(const std::vector<Score>& scores, const std::string& labels,
                         const std::string& caption) {
  report::Table table{caption, {"set", "method", "images", "image bytes"}, {}};
  if (labels == "own") table.head.push_back("labels");
  table.head.push_back("this set %");
  const std::vector<std::string> names = coresets_of(scores);
  for (const std::string& name : names) table.head.push_back(name + " %");
  if (labels == "hard") table.head.push_back("whole set %");
  for (const Score& score : scores) {
    if (labels == "own" && score.labels == "hard") continue;
    std::vector<std::string> row{score.name, score.method, std::to_string(score.images),
                                 format_bytes(static_cast<double>(score.image_bytes))};
    if (labels == "own")
      row.push_back(score.labels + ", " + format_bytes(static_cast<double>(score.label_bytes)));
    row.push_back(percent_of(score.find("distilled", labels).accuracies));
    for (const std::string& name : names)
      row.push_back(score.has(name, labels) ? percent_of(score.find(name, labels).accuracies)
                                            : "-");
    if (labels == "hard") row.push_back(percent_of(score.whole));
    table.rows.push_back(row);
  }
  return table;
}

report::Table scores_of(const std::vector<Score>& scores, bool soft) {
  report::Table table{fmt::format("Scores, sets with {} labels", soft ? "soft" : "hard"),
                      {"set", "method", "HLR %", "IOR %", "LRS", "ARS"},
                      {}};
  for (const Score& score : scores)
    if ((score.labels != "hard") == soft)
      table.rows.push_back({score.name, score.method, interval(score.hard_recovery, 100, 1),
                            interval(score.improvement, 100, 1), interval(score.label_robust, 1, 3),
                            interval(score.augmentation_robust, 1, 3)});
  return table;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6f}", value) : "";
}

}  // namespace

report::Page score_page(const std::vector<Score>& scores, const std::string& recipe) {
  report::Page page;
  page.title = "Scores of sets";
  page.summary =
      fmt::format("{} set{}, {} students a figure", scores.size(), scores.size() == 1 ? "" : "s",
                  scores.front().figures.front().accuracies.size());
  page.tables_title = "Scores";
  for (const bool soft : {false, true})
    if (report::Table table = scores_of(scores, soft); !table.rows.empty())
      page.tables.push_back(std::move(table));
  page.tables.push_back(accuracies(scores, "hard", "Accuracy with hard labels, all sets"));
  if (report::Table table = accuracies(scores, "own",
                                       "Accuracy with soft labels, the same for "
                                       "real images");
      !table.rows.empty())
    page.tables.push_back(std::move(table));
  page.notes = {
      "HLR: the whole set's accuracy less this set's with hard labels, the lower the better. IOR: "
      "the set under its own recipe less random real images under the same. LRS: (e^a - 1/e) / (e "
      "- 1/e) of a = w IOR - (1 - w) HLR; ARS: the same of g times IOR and 1 - g times IOR without "
      "augmentation; accuracies as fractions (DD-Ranking).",
      "In brackets: intervals of 95 % over students."};
  std::set<std::string> said;
  for (const Score& score : scores)
    for (const std::string& note : score.notes)
      if (said.insert(note).second) page.notes.push_back(note);
  page.facts = {{"Test images", std::to_string(scores.front().test_images)},
                {"retort version", version()}};
  page.recipe = recipe;
  return page;
}

Json scores_json(const std::vector<Score>& scores) {
  Json all = Json::array();
  for (const Score& score : scores) all.push_back(eval::to_json(score));
  return {{"kind", "scores"}, {"scores", all}};
}

std::string scores_csv(const std::vector<Score>& scores) {
  std::string text = "set,method,labels,figure,labels_of_figure,augmented,rate,mean,low,high\n";
  for (const Score& score : scores) {
    const std::string head =
        fmt::format("{},{},{}", quoted(score.name), quoted(score.method), score.labels);
    const auto line = [&](const std::string& name, const Interval& estimate) {
      text += fmt::format("{},{},,,,{},{},{}\n", head, name, number(estimate.mean),
                          number(estimate.low), number(estimate.high));
    };
    line("HLR", score.hard_recovery);
    line("IOR", score.improvement);
    line("LRS", score.label_robust);
    line("ARS", score.augmentation_robust);
    line("whole set", interval_of(score.whole));
    for (const eval::ScoreFigure& figure : score.figures) {
      const Interval found = interval_of(figure.accuracies);
      text += fmt::format("{},{},{},{},{},{},{},{}\n", head, figure.subject, figure.labels,
                          figure.augmented ? "yes" : "no", figure.rate, number(found.mean),
                          number(found.low), number(found.high));
    }
  }
  return text;
}

}  // namespace retort::cli
