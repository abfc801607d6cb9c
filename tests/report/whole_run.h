// Records of a run that is whole, and what every page must be.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::report {

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Where the tags of the page are not balanced; empty where they are.
inline std::string imbalance(const std::string& html) {
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
inline void expect_self_contained(const std::string& html) {
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

inline Json run_record() {
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

inline Json result(const std::string& subject, const std::string& network, double mean,
                   double deviation) {
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

inline Json evaluation(const std::string& protocol, bool soft, std::vector<Json> results) {
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

inline std::vector<Json> whole_run() {
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

}  // namespace retort::report
