// Runs side by side: rows, labels apart, costs, CSV and LaTeX.
#include "report/comparison.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report/whole_run.h"
#include "retort/core/progress.h"

namespace retort::report {
namespace {

ComparedRun run_of(const std::string& name, std::vector<Json> records) {
  return {name, std::move(records), "protocol = \"quick\"\n", {}, {}};
}

/// A run whose students learn soft labels, made for by experts.
ComparedRun soft_run() {
  Json set = result("distilled", "convnet", 0.6, 0.02);
  set["labels"] = "soft";
  set["label_bytes"] = 4000;
  set["image_bytes"] = 1228800;
  Json random = result("random", "convnet", 0.31, 0.005);
  random["labels"] = "hard";
  auto records = whole_run();
  records.pop_back();
  records.push_back({{"kind", "needed"},
                     {"what", "expert"},
                     {"count", 5},
                     {"bytes", 1000},
                     {"seconds", 100.0},
                     {"peak_memory_bytes", 1400000000}});
  records.push_back(evaluation("quick", true, {set, random}));
  return run_of("b, with a comma", records);
}

std::vector<std::string> column(const Table& table, const std::string& name) {
  const auto place = std::find(table.head.begin(), table.head.end(), name);
  std::vector<std::string> cells;
  if (place == table.head.end()) return cells;
  for (const auto& row : table.rows)
    cells.push_back(row.at(static_cast<size_t>(place - table.head.begin())));
  return cells;
}

TEST(Comparison, NeverPutsHardAndSoftLabelsIntoOneTable) {
  const Page page = comparison_page({run_of("a", whole_run()), soft_run()});
  ASSERT_GE(page.tables.size(), 4u);
  EXPECT_TRUE(has(page.tables[0].caption, "hard labels"));
  EXPECT_EQ(column(page.tables[0], "Run"), (std::vector<std::string>{"a", "a"}));
  EXPECT_EQ(column(page.tables[0], "Network"), (std::vector<std::string>{"convnet", "resnet18"}));
  EXPECT_EQ(column(page.tables[0], "Points above"), (std::vector<std::string>{"+16.1", ""}));
  EXPECT_TRUE(has(page.tables[1].caption, "soft labels"));
  EXPECT_EQ(column(page.tables[1], "Accuracy, %"),
            (std::vector<std::string>{"60.0\u00a0±\u00a02.0"}));
  const std::string html = render(page);
  EXPECT_EQ(imbalance(html), "");
  expect_self_contained(html);
}

TEST(Comparison, GivesIntervalsByStudentsDistribution) {
  const Page page = comparison_page({run_of("a", whole_run())});
  // Two students at 0.471 ± 0.004: 12.706 times the population deviation over the root of one.
  EXPECT_EQ(column(page.tables[0], "Interval of 95 %").at(0), "42.0 to 52.2");
}

TEST(Comparison, CountsExpertsInTimeAndMemory) {
  const Page page = comparison_page({run_of("a", whole_run()), soft_run()});
  const Table& cost = page.tables[2];
  EXPECT_EQ(column(cost, "Time in all"), (std::vector<std::string>{"", format_duration(300)}));
  EXPECT_EQ(column(cost, "Peak in all").at(1), format_bytes(1.4e9));
  EXPECT_EQ(column(cost, "Made for it").at(1), "5 experts");
  EXPECT_EQ(column(cost, "Stored labels").at(1), format_bytes(4000));
}

TEST(Comparison, SaysTheSpreadsOfSeveralSetsApart) {
  Json set = result("distilled", "convnet", 0.5, 0.1);
  set["accuracies"] = {0.39, 0.41, 0.59, 0.61};
  set["sets"] = {{{"set", "seed-0"}, {"accuracies", {0.39, 0.41}}},
                 {{"set", "seed-1"}, {"accuracies", {0.59, 0.61}}}};
  set["deviation_over_sets"] = 0.1;
  set["deviation_over_students"] = 0.01;
  ComparedRun run = run_of("sets", {evaluation("quick", false, {set})});
  run.sets = {whole_run(), whole_run()};
  const Page page = comparison_page({run});
  EXPECT_EQ(column(page.tables[0], "± over sets").at(0), "10.0");
  EXPECT_EQ(column(page.tables[0], "± over students").at(0), "1.0");
  EXPECT_EQ(column(page.tables[0], "Sets x students").at(0), "2 x 2");
  EXPECT_EQ(column(page.tables[0], "Interval of 95 %").at(0), "-77.1 to 177.1") << "of two means";
  EXPECT_EQ(column(page.tables[1], "Time").at(0), format_duration(400)) << "of both";
}

TEST(Comparison, WritesCsvWithAColumnForEachKindOfLabels) {
  const std::string csv = comparison_csv({run_of("a", whole_run()), soft_run()});
  std::vector<std::string> lines;
  std::istringstream text(csv);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 4u) << "a head, two networks of a, one of b";
  EXPECT_TRUE(has(lines[0], "accuracy_hard_mean,accuracy_hard_deviation"));
  EXPECT_TRUE(has(lines[0], "accuracy_soft_mean"));
  EXPECT_TRUE(has(lines[3], "\"b, with a comma\",dm,convnet,cifar10,5f3a"));
  EXPECT_TRUE(has(lines[1], ",0.471,0.004,"));
  EXPECT_TRUE(has(lines[3], ",soft,,,,,0.6,0.02,")) << lines[3];
}

TEST(Comparison, EscapesLatex) {
  const std::string tex = comparison_latex({run_of("50%_&", whole_run())});
  EXPECT_TRUE(has(tex, "50\\%\\_\\&")) << tex;
  EXPECT_TRUE(has(tex, "47.1~$\\pm$~0.4"));
  EXPECT_FALSE(has(tex, "±"));
}

TEST(Comparison, ShowsRunsThatAreNotEvaluatedAndWhatDoesNotCompare) {
  Json other = evaluation("quick", false, {result("distilled", "convnet", 0.3, 0.01)});
  other["protocol"] = "dm";
  const Page page = comparison_page(
      {run_of("a", whole_run()), run_of("b", {run_record(), other}), run_of("c", {run_record()})});
  const auto said = [&](const std::string& part) {
    return std::any_of(page.notes.begin(), page.notes.end(),
                       [&](const std::string& note) { return has(note, part); });
  };
  EXPECT_TRUE(said("different protocols"));
  EXPECT_TRUE(said("c has not been evaluated"));
  for (const auto& records : {std::vector<Json>{}, std::vector<Json>{Json(), Json(3)}})
    EXPECT_EQ(imbalance(render(comparison_page({run_of("x", records)}))), "");
}

}  // namespace
}  // namespace retort::report
