#include "retort/report/page.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "retort/core/progress.h"

namespace retort::report {
namespace {

using Json = nlohmann::json;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Where the tags of the page are not balanced; empty where they are.
std::string imbalance(const std::string& html) {
  static const std::set<std::string> kVoid = {"meta", "link", "img", "br", "!doctype"};
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return "a tag without end";
    const bool closes = html[at + 1] == '/';
    size_t stop = at + 1 + closes;
    std::string name;
    while (stop < end && !std::isspace(static_cast<unsigned char>(html[stop])) && html[stop] != '/')
      name += static_cast<char>(std::tolower(html[stop++]));
    if (kVoid.count(name) || html[end - 1] == '/') continue;
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " stays open";
}

/// Every attribute that would make a browser fetch something must hold data.
void expect_self_contained(const std::string& html) {
  for (const std::string attribute : {" src=\"", " href=\""})
    for (size_t at = html.find(attribute); at != std::string::npos;
         at = html.find(attribute, at + 1))
      EXPECT_EQ(html.compare(at + attribute.size(), 5, "data:"), 0) << html.substr(at, 60);
  EXPECT_FALSE(has(html, "://"));
  EXPECT_FALSE(has(html, "url("));
  EXPECT_FALSE(has(html, "@import"));
  EXPECT_FALSE(has(html, "<script"));
  EXPECT_FALSE(has(html, "srcset"));
}

Json run_record() {
  return {{"kind", "run"},
          {"program_version", "0.1.0"},
          {"method", "dm"},
          {"data", "cifar10"},
          {"data_hash", "5f3a"},
          {"classes", 10},
          {"images_per_class", "10"},
          {"images", 100},
          {"network", "convnet"},
          {"device", "cpu"},
          {"threads", 2},
          {"seed", 0},
          {"storage_bytes", 1228800},
          {"images_per_class_equivalents", 10.0},
          {"deviations", {"one batch over all classes"}},
          {"notes", {"test part split off"}}};
}

Json result(const std::string& subject, const std::string& network, double mean, double deviation) {
  return {{"subject", subject},
          {"network", network},
          {"accuracies", {mean - deviation, mean + deviation}},
          {"mean", mean},
          {"deviation", deviation},
          {"epochs", 1000},
          {"steps", 1001},
          {"images", 100},
          {"draws", subject == "random" ? 2 : 1},
          {"seconds", 12.0}};
}

Json evaluation(const std::string& protocol, bool soft, std::vector<Json> results) {
  return {{"kind", "evaluation"},
          {"protocol", protocol},
          {"part", "test"},
          {"students", 2},
          {"training_images", 100},
          {"test_images", 2000},
          {"seed", 7},
          {"date", "2026-03-01 14:05 UTC"},
          {"soft_labels", soft},
          {"results", results}};
}

std::vector<Json> whole_run() {
  std::vector<Json> records = {run_record()};
  for (int i = 1; i <= 200; ++i)
    records.push_back({{"kind", "iteration"},
                       {"iteration", i},
                       {"loss", 10.0 / i + 1},
                       {"seconds", 0.5 * i},
                       {"peak_memory_bytes", 1000000000 + i}});
  for (int i = 100; i <= 200; i += 100)
    records.push_back({{"kind", "validation"},
                       {"iteration", i},
                       {"network", "convnet"},
                       {"mean", 0.4},
                       {"deviation", 0.01},
                       {"students", 2}});
  records.push_back({{"kind", "finish"},
                     {"iteration", 200},
                     {"seconds", 200.0},
                     {"peak_memory_bytes", 1300000000}});
  records.push_back(evaluation(
      "quick", false,
      {result("distilled", "convnet", 0.471, 0.004), result("distilled", "resnet18", 0.402, 0.01),
       result("random", "convnet", 0.31, 0.005), result("whole set", "convnet", 0.85, 0.002)}));
  return records;
}

TEST(Page, EscapesAllText) {
  const std::string evil = "<i onclick=\"x\">&'";
  Page page;
  page.title = page.summary = page.recipe = evil;
  page.figures_of_merit = page.facts = {{evil, evil}};
  page.pictures = {{evil, "png"}};
  page.charts = {{evil, evil, evil, {{evil, {{0, 1}, {1, 2}}}, {evil, {}}}}};
  page.tables = {{evil, {evil}, {{evil, evil}}}};
  page.notes = {evil};
  const std::string html = render(page);
  EXPECT_FALSE(has(html, "<i "));
  EXPECT_FALSE(has(html, "onclick=\""));
  EXPECT_EQ(imbalance(html), "");
}

TEST(Page, IsWellFormedAndFetchesNothing) {
  const std::string html =
      render(run_page(whole_run(), "method = \"dm\"\n", {{"The distilled images", "not a png"}}));
  EXPECT_EQ(imbalance(html), "");
  expect_self_contained(html);
  EXPECT_TRUE(has(html, "<!DOCTYPE html>"));
  EXPECT_TRUE(has(html, "name=\"viewport\""));
  EXPECT_TRUE(has(html, "prefers-color-scheme:dark"));
}

TEST(Page, EmbedsPicturesWithSizeAndAlternativeText) {
  Page page;
  page.pictures = {
      {"ten classes", std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\3\x20\0\0\2\x01", 24)}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html,
                  "<img alt=\"ten classes\" width=\"800\" height=\"513\" "
                  "src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAyAAAAIB\""));
  EXPECT_EQ(imbalance(html), "");
}

TEST(Page, SetsNumbersRightAndDrawsBarsBehindPercents) {
  Page page;
  page.tables = {
      {"caption", {"network", "accuracy", "over"}, {{"convnet", "47.1 ± 0.4", "+1"}}, 1}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html, "<th scope=\"row\">convnet</th>"));
  EXPECT_TRUE(has(html,
                  "<td class=\"n percent\" style=\"--v:47.1%\" data-name=\"accuracy\">47.1 ± "
                  "0.4</td>"));
  EXPECT_TRUE(has(html, "<td class=\"n\" data-name=\"over\">+1</td>"));
  EXPECT_FALSE(has(html, "scroll stack")) << "three columns fit a phone";
}

TEST(Page, StacksWideRowsOnAPhoneWithTheNamesOfTheirColumns) {
  Page page;
  page.tables = {{"caption", {"network", "a<b", "c", "d"}, {{"convnet", "1", "2", "3"}}}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html, "<div class=\"scroll stack\""));
  EXPECT_TRUE(has(html, "data-name=\"a&lt;b\">1</td>"));
  EXPECT_TRUE(has(html, "content:attr(data-name)"));
}

TEST(Page, StandsWithoutContent) {
  const std::string html = render(Page{});
  EXPECT_EQ(imbalance(html), "");
  EXPECT_FALSE(has(html, "<section>"));
}

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
