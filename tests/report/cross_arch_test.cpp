// Sets under many networks: tables, heat maps, what is kept, CSV.
#include "report/cross_arch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report/whole_run.h"

namespace retort::report {
namespace {

Json cell(const std::string& set, const std::string& network, std::vector<double> accuracies,
          double rate, bool at_end = false, const std::string& labels = "hard") {
  return {{"set", set},       {"network", network}, {"accuracies", accuracies}, {"rate", rate},
          {"at_end", at_end}, {"labels", labels},   {"label_bytes", 80}};
}

Json found() {
  return {
      {"sets",
       {{{"set", "dm"}, {"method", "dm"}, {"made_with", "convnet"}, {"baseline", "random"}},
        {{"set", "datm"}, {"made_with", "convnet"}, {"soft_labels", true}},
        {{"set", "random"}, {"random", true}}}},
      {"networks", {"convnet", "vgg11", "mlp"}},
      {"cells",
       {cell("dm", "convnet", {0.5, 0.52}, 0.01), cell("dm", "vgg11", {0.4, 0.42}, 0.1, true),
        cell("dm", "mlp", {0.2, 0.22}, 0.01),
        cell("datm", "convnet", {0.6, 0.6}, 0.01, false, "soft"),
        cell("random", "convnet", {0.3, 0.3}, 0.01), cell("random", "vgg11", {0.25, 0.25}, 0.01),
        cell("random", "mlp", {0.19, 0.19}, 0.01)}},
      {"data", "cifar10"},
      {"test_images", 10000},
      {"held_out_images", 5000}};
}

TEST(CrossArch, KeepsLabelsApartInTablesAndHeatMaps) {
  const Page page = cross_arch_page(found());
  EXPECT_EQ(page.title, "2 sets and 3 networks on cifar10");
  ASSERT_EQ(page.heat_maps.size(), 2u);
  EXPECT_EQ(page.heat_maps[0].rows, (std::vector<std::string>{"dm", "random"}));
  EXPECT_EQ(page.heat_maps[0].texts[0], (std::vector<std::string>{"51.0", "41.0", "21.0"}));
  EXPECT_EQ(page.heat_maps[0].marked, (std::vector<std::pair<size_t, size_t>>{{0, 0}}));
  EXPECT_EQ(page.heat_maps[1].rows, (std::vector<std::string>{"datm"}));
  EXPECT_EQ(page.tables.at(0).rows.at(0),
            (std::vector<std::string>{"dm", "convnet", "51.0\u00a0±\u00a01.0",
                                      "41.0\u00a0±\u00a01.0", "21.0\u00a0±\u00a01.0"}));
  EXPECT_EQ(page.tables.at(1).rows.at(0).at(3), "") << "a cell that is not there yet";
  EXPECT_EQ(imbalance(render(page)), "");
  expect_self_contained(render(page));
}

TEST(CrossArch, SaysWhatIsLeftWithOtherNetworks) {
  const Page page = cross_arch_page(found());
  // Others: the mean of 41 and 21; 31 / 51; above random: the mean of 16 and 2.
  EXPECT_EQ(page.tables.at(2).rows.at(0),
            (std::vector<std::string>{"dm", "convnet", "51.0", "31.0", "60.8", "+9.0"}));
  EXPECT_EQ(page.tables.at(2).rows.size(), 2u) << "random images are made with no network";
}

TEST(CrossArch, MarksRatesAtTheEndOfTheirRange) {
  const Page page = cross_arch_page(found());
  EXPECT_EQ(page.tables.at(3).rows.at(0),
            (std::vector<std::string>{"dm", "0.01", "0.1 *", "0.01"}));
  EXPECT_TRUE(std::any_of(page.notes.begin(), page.notes.end(),
                          [](const std::string& note) { return has(note, "--rates"); }));
}

TEST(CrossArch, WritesEveryCellAsCsv) {
  std::istringstream csv(cross_arch_csv(found()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(csv, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 10u);
  EXPECT_TRUE(has(lines[0], "hard_mean,hard_deviation,hard_low,hard_high,soft_mean"));
  EXPECT_TRUE(lines[1].starts_with("dm,dm,convnet,,convnet,hard,,,80,,0.01,2,0.51,0.01,"))
      << lines[1];
  EXPECT_TRUE(has(lines[4], ",2,,,,,0.6,0,"));
  EXPECT_TRUE(has(cross_arch_latex(found()), "51.0~$\\pm$~1.0"));
}

TEST(CrossArch, TakesWhatIsThere) {
  for (const Json& odd : {Json::object(), Json{{"networks", {"convnet"}}},
                          Json{{"sets", {{{"set", "a"}}}}, {"networks", {"convnet"}}}})
    EXPECT_EQ(imbalance(render(cross_arch_page(odd))), "");
}

}  // namespace
}  // namespace retort::report
