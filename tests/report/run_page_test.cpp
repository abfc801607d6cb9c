// What the page of a run says of its records, whole or not.
#include "retort/report/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "report/whole_run.h"
#include "retort/core/progress.h"

namespace retort::report {
namespace {

TEST(RunPage, SaysWhatTheRunIsAndHowGood) {
  const Page page = run_page(whole_run(), "", {});
  EXPECT_EQ(page.title, "dm on cifar10, 10 images per class");
  EXPECT_EQ(page.summary,
            "Trained from scratch on these 100 images alone by protocol quick, a convnet gets "
            "47.1\u00a0±\u00a00.4\u00a0% of the 2,000 test images right; on 100 random real "
            "images, 31.0\u00a0±\u00a00.5\u00a0%. That is 16.1 points more.");
  const std::vector<std::pair<std::string, std::string>> merit = {
      {"test accuracy, convnet, protocol quick, 2 students", "47.1\u00a0±\u00a00.4\u00a0%"},
      {"points above random real images", "+16.1"},
      {"of the accuracy with the whole set", "55\u00a0%"},
      {"images of 10 classes", "100"},
      {"time, 200 iterations", format_duration(200)},
      {"peak memory", format_bytes(1.3e9)},
      {"storage, as 10 float images per class", format_bytes(1228800)}};
  EXPECT_EQ(page.figures_of_merit, merit);
}

TEST(RunPage, SaysWhyThereIsAPassMoreThanEpochs) {
  Json one = result("distilled", "convnet", 0.471, 0.004);
  one["passes"] = 1001;
  const std::string said = "1,000 epochs are 1,001 passes over the images";
  const auto page_of = [&](const Json& record) {
    return render(run_page({run_record(), evaluation("dm", false, {record})}, "", {}));
  };
  EXPECT_NE(page_of(one).find(said), std::string::npos);
  one["passes"] = 1000;
  EXPECT_EQ(page_of(one).find("passes over"), std::string::npos);
}

TEST(RunPage, GroupsResultsByNetwork) {
  const Page page = run_page(whole_run(), "", {});
  ASSERT_EQ(page.tables.size(), 1u);
  const Table& table = page.tables[0];
  EXPECT_TRUE(has(table.caption, "over 2 students; protocol quick; set of 100 images; hard"));
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[0],
            (std::vector<std::string>{"convnet", "distilled", "47.1\u00a0±\u00a00.4", "+16.1",
                                      "100", "1,001", format_duration(12)}));
  EXPECT_TRUE(has(table.caption, "tested on 2,000 images; seed 7; 2026-03-01 14:05 UTC."));
  EXPECT_TRUE(has(table.caption, "Random images: 2 draws, one for each student."));
  EXPECT_EQ(table.rows[1][1], "random");
  EXPECT_EQ(table.rows[2][1], "whole set");
  EXPECT_EQ(table.rows[3][0], "resnet18");
  EXPECT_EQ(table.rows[3][3], "") << "resnet18 has no random baseline";
  EXPECT_EQ(table.strong_rows, (std::vector<size_t>{0, 3}));
}

TEST(RunPage, ShowsTheLatestEvaluationFirst) {
  auto records = whole_run();
  records.push_back(evaluation("long", false, {result("distilled", "convnet", 0.5, 0.1)}));
  const Page page = run_page(records, "", {});
  ASSERT_EQ(page.tables.size(), 2u);
  EXPECT_TRUE(has(page.tables[0].caption, "protocol long"));
  EXPECT_TRUE(has(page.summary, "50.0"));
}

TEST(RunPage, PutsTheOwnWholeEvaluationAboveLaterOnes) {
  auto records = whole_run();
  records.push_back(evaluation("dm", false, {result("distilled", "convnet", 0.6, 0.1)}));
  Json brief = evaluation("dm with 2 epochs", false, {result("distilled", "convnet", 0.2, 0.1)});
  records.push_back(brief);
  brief["protocol"] = "dm";
  brief["shortened"] = true;
  records.push_back(brief);
  records.push_back(evaluation("dc", false, {result("distilled", "convnet", 0.3, 0.1)}));
  const Page page = run_page(records, "method = \"dsa\"\nprotocol = \"dm\"\n", {});
  EXPECT_TRUE(has(page.summary, "60.0")) << page.summary;
  EXPECT_TRUE(has(page.summary, "by protocol dm,"));
  ASSERT_EQ(page.tables.size(), 5u);
  EXPECT_TRUE(has(page.tables[0].caption, "protocol dm;"));
  EXPECT_TRUE(has(page.tables[1].caption, "protocol dc;")) << "then the latest";
}

TEST(RunPage, LeavesEvaluationsOfAnEarlierStateBehind) {
  auto records = whole_run();
  records.push_back({{"kind", "finish"}, {"iteration", 400}, {"seconds", 400.0}});
  records.push_back(evaluation("quick", false, {result("distilled", "convnet", 0.5, 0.1)}));
  Json old = records[records.size() - 3];
  ASSERT_EQ(old.at("protocol"), "quick");
  const Page page = run_page(records, "protocol = \"quick\"\n", {});
  EXPECT_TRUE(has(page.summary, "50.0"));
  EXPECT_TRUE(has(page.tables.at(1).caption, "before the last iterations"));
}

TEST(RunPage, SaysWhatDecodedImagesAndRandomOnesTake) {
  Json run = run_record(), set = result("distilled", "convnet", 0.4, 0.01),
       random = result("random", "convnet", 0.3, 0.01);
  run["parametrisation"] = "memories";
  run["images"] = 1150;
  run["storage_bytes"] = 122840;
  set["images"] = 1150;
  random["images"] = 10;
  const Page page = run_page({run, evaluation("rtp", false, {set, random})}, "", {});
  EXPECT_TRUE(has(page.summary, "on the 1,150 images that 123 kB decode to alone")) << page.summary;
  EXPECT_TRUE(has(page.summary, "on 10 random real images, which take the same bytes"));
}

TEST(RunPage, ShowsClassesAndBalancedAccuracyWhereTheyDiffer) {
  Json set = result("distilled", "convnet", 0.4, 0.01);
  set["balanced"] = 0.35;
  set["class_accuracies"] = {0.5, 0.2, nullptr};
  Json one = evaluation("dm", false, {set});
  one["class_names"] = {"cat", "dog", "bird"};
  one["notes"] = {"the test part is unbalanced"};
  const Page page = run_page({one}, "", {});
  EXPECT_EQ(page.tables.at(0).head.at(4), "Balanced, %");
  EXPECT_EQ(page.tables.at(0).rows.at(0).at(4), "35.0");
  ASSERT_EQ(page.tables.size(), 2u);
  EXPECT_EQ(page.tables[1].rows,
            (std::vector<std::vector<std::string>>{{"dog", "20.0"}, {"cat", "50.0"}}));
  EXPECT_EQ(page.notes, (std::vector<std::string>{"The test part is unbalanced"}));
}

TEST(RunPage, DrawsWhatEachClassIsTakenFor) {
  Json set = result("distilled", "convnet", 0.4, 0.01);
  set["class_accuracies"] = {0.75, 0.5};
  set["confusion"] = {{3, 1}, {2, 2}};
  Json one = evaluation("dm", false, {set});
  one["class_names"] = {"cat", "dog"};
  const Page page = run_page({one}, "", {});
  ASSERT_EQ(page.heat_maps.size(), 1u);
  EXPECT_EQ(page.heat_maps[0].values, (std::vector<std::vector<double>>{{0.75, 0.25}, {0.5, 0.5}}));
  EXPECT_EQ(page.heat_maps[0].texts[0], (std::vector<std::string>{"75", "25"}));
  const std::string html = render(page);
  EXPECT_EQ(imbalance(html), "");
  EXPECT_TRUE(has(html, "fill-opacity=\"0.75\"")) << html;
}

TEST(RunPage, DrawsNoConfusionOfDamagedOrAbsentCounts) {
  for (const Json& counts :
       {Json(), Json::array(), Json{{1, 2}}, Json{{1, 2}, {3, "x"}}, Json{{1, 2}, 3}}) {
    Json set = result("distilled", "convnet", 0.4, 0.01);
    set["confusion"] = counts;
    Json one = evaluation("dm", false, {set});
    one["class_names"] = {"cat", "dog"};
    EXPECT_TRUE(run_page({one}, "", {}).heat_maps.empty()) << counts;
  }
}

TEST(RunPage, NamesTheMostFrequentConfusionsOfManyClasses) {
  constexpr size_t kClasses = 30;
  std::vector<std::vector<int>> counts(kClasses, std::vector<int>(kClasses, 0));
  std::vector<std::string> names;
  for (size_t c = 0; c < kClasses; ++c) {
    names.push_back("class " + std::to_string(c));
    counts[c][c] = 10;
  }
  counts[3][7] = 30;
  Json set = result("distilled", "convnet", 0.4, 0.01);
  set["confusion"] = counts;
  Json one = evaluation("dm", false, {set});
  one["class_names"] = names;
  const Page page = run_page({one}, "", {});
  ASSERT_EQ(page.tables.size(), 2u);
  EXPECT_EQ(page.tables[1].rows,
            (std::vector<std::vector<std::string>>{{"class 3", "class 7", "75.0"}}));
  EXPECT_EQ(page.heat_maps.size(), 1u);
}

TEST(RunPage, CountsWhatTheSetCostInAll) {
  auto records = whole_run();
  records.push_back({{"kind", "needed"},
                     {"what", "expert"},
                     {"count", 20},
                     {"bytes", 5000000},
                     {"seconds", 400.0},
                     {"peak_memory_bytes", 2000000000}});
  const auto merit = run_page(records, "", {}).figures_of_merit;
  const auto holds = [&](const std::string& name, const std::string& value) {
    return std::count(merit.begin(), merit.end(), std::pair(name, value)) == 1;
  };
  EXPECT_TRUE(holds("time in all, with 20 experts", format_duration(600)));
  EXPECT_TRUE(holds("peak memory in all, with 20 experts", format_bytes(2e9)));
  records.back()["seconds"] = nullptr;  // imported ones: nobody knows
  for (const auto& [name, value] : run_page(records, "", {}).figures_of_merit)
    EXPECT_FALSE(has(name, "time in all"));
}

TEST(RunPage, KeepsHardAndSoftLabelsApart) {
  Json random = result("random", "convnet", 0.31, 0.005);
  random["soft_labels"] = false;
  const Page page = run_page(
      {evaluation("soft", true, {result("distilled", "convnet", 0.5, 0.01), random})}, "", {});
  ASSERT_EQ(page.tables.size(), 2u);
  EXPECT_TRUE(has(page.tables[0].caption, "soft labels"));
  EXPECT_EQ(page.tables[0].rows.size(), 1u);
  EXPECT_EQ(page.tables[0].rows[0][3], "") << "no comparison across kinds of labels";
  EXPECT_TRUE(has(page.tables[1].caption, "hard labels"));
}

TEST(RunPage, DrawsLossWithItsMeanAndValidation) {
  const Page page = run_page(whole_run(), "", {});
  ASSERT_EQ(page.charts.size(), 2u);
  ASSERT_EQ(page.charts[0].series.size(), 2u);
  EXPECT_TRUE(page.charts[0].series[0].background);
  const auto& mean = page.charts[0].series[1];
  EXPECT_EQ(mean.name, "mean over 9 records");
  // Iterations 96 to 104 around the hundredth.
  double sum = 0;
  for (int i = 96; i <= 104; ++i) sum += 10.0 / i + 1;
  EXPECT_NEAR(mean.points[99].second, sum / 9, 1e-12);
  EXPECT_EQ(page.charts[1].title, "Validation accuracy of convnet");
  EXPECT_EQ(page.charts[1].series[0].points[1], (std::pair<double, double>{200, 40}));
}

TEST(RunPage, TakesALogarithmicAxisForLargeFalls) {
  std::vector<Json> records;
  for (int i = 0; i < 20; ++i)
    records.push_back({{"kind", "iteration"}, {"iteration", i}, {"loss", 1000.0 / (1 + i * i)}});
  EXPECT_TRUE(run_page(records, "", {}).charts.at(0).log_y);
}

TEST(RunPage, CountsNoIterationsOfASelection) {
  const Page page =
      run_page({run_record(), {{"kind", "finish"}, {"iteration", 5000}, {"seconds", 3.0}}}, "", {});
  EXPECT_EQ(page.figures_of_merit.at(1).first, "time");
}

TEST(RunPage, TellsDeviationsAndAnUnfinishedRun) {
  EXPECT_EQ(run_page(whole_run(), "", {}).notes,
            (std::vector<std::string>{"Differs from its paper or code: one batch over all classes",
                                      "Test part split off"}));
  const Page page = run_page({run_record()}, "", {});
  EXPECT_TRUE(has(page.notes.at(0), "has not finished"));
  EXPECT_TRUE(has(page.summary, "not been evaluated"));
}

TEST(RunPage, WritesNoDeviationForOneStudent) {
  Json one = result("distilled", "convnet", 0.471, 0);
  one["accuracies"] = {0.471};
  const Page page = run_page({evaluation("quick", false, {one})}, "", {});
  EXPECT_EQ(page.tables.at(0).rows.at(0)[2], "47.1");
}

TEST(RunPage, NamesOtherBudgets) {
  const auto title = [](const Json& budget) {
    Json run = run_record();
    run["images_per_class"] = budget;
    return run_page({run}, "", {}).title;
  };
  EXPECT_EQ(title("1"), "dm on cifar10, 1 image per class");
  EXPECT_EQ(title(50), "dm on cifar10, 50 images per class");
  EXPECT_EQ(title("proportional:300"), "dm on cifar10, 300 images, classes in proportion");
  EXPECT_EQ(title("counts.txt"), "dm on cifar10, unequal numbers of images per class");
}

TEST(RunPage, TakesAnyRecords) {
  const std::vector<std::vector<Json>> odd = {
      {},
      {Json(), Json(3), Json::array({1}), Json::object()},
      {{{"kind", 7}}, {{"kind", "run"}, {"images", "many"}, {"notes", 3}, {"method", nullptr}}},
      {{{"kind", "iteration"}, {"iteration", 1}, {"loss", nullptr}}, {{"kind", "iteration"}}},
      {{{"kind", "validation"}}, {{"kind", "finish"}}, {{"kind", "evaluation"}}},
      {{{"kind", "evaluation"}, {"results", {1, Json::object(), {{"subject", "distilled"}}}}}},
      {evaluation("quick", false, {{{"subject", "distilled"}, {"mean", nullptr}}})}};
  for (const auto& records : odd) {
    const std::string html = render(run_page(records, "", {}));
    EXPECT_EQ(imbalance(html), "");
    EXPECT_FALSE(has(html, "nan"));
  }
}

}  // namespace
}  // namespace retort::report
