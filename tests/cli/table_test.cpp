// Every method of the matching family on the built-in set, in one table beside random images: at
// most two minutes a method on two cores.
#include <gtest/gtest.h>

#include <iostream>

#include "cli/arguments.h"
#include "cli/invoke.h"
#include "core/mean.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using Words = std::vector<std::string>;

/// A command that succeeds; its JSON document.
Json document(Words words) {
  words.push_back("--json");
  const tests::Answer answer = tests::call(words);
  EXPECT_EQ(answer.code, 0) << answer.err;
  return Json::parse(answer.out, nullptr, false);
}

struct Row {
  std::string method;
  Words options;
};

TEST(TableSlow, EveryMethodBeatsRandomImagesOfShapes) {
  const tests::TempFolder folder;
  const Words common{"--data", "shapes", "--network", "convnet-w32"};
  const auto with = [&](Words words) {
    words.insert(words.end(), common.begin(), common.end());
    return words;
  };
  for (const bool flat : {false, true}) {
    Words experts = with({"experts", "--count", "3", "--epochs", "4", "--out",
                          (folder / (flat ? "flat" : "plain")).string()});
    if (flat) experts.push_back("--flat");
    document(experts);
  }
  const Words follow{"--inner-steps", "20",  "--max-start-epoch",     "2",
                     "--iterations",  "100", "--image-learning-rate", "300"};
  std::vector<Row> rows{{"dm", {"--iterations", "300", "--real-batch", "64"}},
                        {"dc", {"--iterations", "150", "--real-batch", "64"}},
                        {"dsa", {"--iterations", "150", "--real-batch", "64"}},
                        {"mtt", follow},
                        {"ftd", follow},
                        {"datm", follow}};
  rows[3].options.insert(rows[3].options.end(), {"--experts", (folder / "plain").string()});
  rows[4].options.insert(rows[4].options.end(),
                         {"--experts", (folder / "flat").string(), "--average-decay", "0.9"});
  rows[5].options.insert(rows[5].options.end(),
                         {"--experts", (folder / "flat").string(), "--first-max-start-epoch", "0",
                          "--label-learning-rate", "2", "--skip-above", "1.5"});
  std::vector<Words> table{{"method", "accuracy %", "random %", "labels"}};
  for (const Row& row : rows) {
    const std::string out = (folder / row.method).string();
    Words distill = with({"distill", "--method", row.method, "--images-per-class", "1",
                          "--protocol", "demo", "--out", out});
    distill.insert(distill.end(), row.options.begin(), row.options.end());
    document(distill);
    const Json found = document({"eval", out, "--data", "shapes", "--students", "2"});
    const Json& results = found.at("results");
    const auto percent_of = [](const Json& result) {
      return percent(result.at("mean"), result.at("deviation"));
    };
    table.push_back({row.method, percent_of(results[0]), percent_of(results[1]),
                     found.at("soft_labels").get<bool>() ? "soft" : "hard"});
    EXPECT_GT(results[0].at("mean").get<double>(), results[1].at("mean").get<double>() + 0.08)
        << row.method;
  }
  std::cout << "shapes, convnet-w32, 1 image per class, protocol demo, 2 students\n"
            << cli::aligned(table);
}

}  // namespace
}  // namespace retort
