// What a trajectory was made for, as texts in its file, and whether that is what is wanted.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "retort/core/error.h"
#include "retort/core/records.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {
namespace {

/// Eigen-decompositions of other machines differ in the last digits.
constexpr double kSameNumber = 1e-5;

/// Kind and numbers; a whitening is named by sums that its ridge and its images decide.
Json describe(const data::Preprocessing& preprocessing) {
  Json json{{"kind", preprocessing.kind()}};
  if (preprocessing.kind() == "mean_std") {
    json["mean"] = preprocessing.mean();
    json["std"] = preprocessing.deviation();
  } else if (preprocessing.kind() == "zca") {
    const at::Tensor& matrix = preprocessing.zca_matrix();
    json["pixels"] = matrix.size(0);
    json["mean"] = preprocessing.zca_mean().to(at::kDouble).mean().item<double>();
    json["trace"] = matrix.diagonal().to(at::kDouble).sum().item<double>();
    json["norm"] = matrix.norm().item<double>();
  }
  return json;
}

bool near(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a, y = b;
    return std::abs(x - y) <= kSameNumber * std::max(std::abs(x), std::abs(y));
  }
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (!a.is_structured()) return a == b;
  for (const auto& [key, value] : a.items()) {
    const bool there = a.is_array() || b.contains(key);
    if (!there || !near(value, a.is_array() ? b[std::stoul(key)] : b[key])) return false;
  }
  return true;
}

bool same_preprocessing(const std::string& a, const std::string& b) {
  const Json x = Json::parse(a, nullptr, false), y = Json::parse(b, nullptr, false);
  return x.is_object() && y.is_object() && near(x, y);
}

std::string slots_of(const nets::Network& network) {
  Json slots = Json::array();
  for (const nets::Slot& slot : network.parameters().slots)
    slots.push_back({slot.name, slot.shape});
  return json_text(slots);
}

/// "[128, 3, 3, 3] for 'block1.conv.weight'", or how many parameters there are, where the two
/// differ.
std::string first_slot(const std::string& slots, const std::string& others) {
  const Json here = Json::parse(slots, nullptr, false), there = Json::parse(others, nullptr, false);
  if (!here.is_array() || !there.is_array()) return "(none)";
  for (size_t i = 0; i < std::min(here.size(), there.size()); ++i)
    if (here[i] != there[i] && here[i].is_array() && here[i].size() == 2)
      return fmt::format("{} for {}", json_text(here[i][1]), json_text(here[i][0]));
  return fmt::format("{} tensors", here.size());
}

/// A preprocessing in a few words.
std::string short_preprocessing(const std::string& text, const std::string&) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("kind")) return "(none)";
  // The file is untrusted: anything may stand where numbers should.
  const auto digits = [&](const char* key) {
    std::vector<std::string> values;
    if (!json.contains(key)) return std::string("(none)");
    for (const Json& value : json[key])
      values.push_back(value.is_number() ? fmt::format("{:.6g}", value.get<double>())
                                         : json_text(value));
    return fmt::format("{}", fmt::join(values, ", "));
  };
  if (json["kind"] == "zca")
    return fmt::format("whitened by a matrix of trace {} and norm {}", digits("trace"),
                       digits("norm"));
  if (json["kind"] != "mean_std") return json_text(json["kind"]);
  return fmt::format("mean {}, deviation {}", digits("mean"), digits("std"));
}

std::string first_class(const std::string& names, const std::string& others) {
  const Json here = Json::parse(names, nullptr, false), there = Json::parse(others, nullptr, false);
  if (!here.is_array() || !there.is_array()) return "(none)";
  for (size_t i = 0; i < std::min(here.size(), there.size()); ++i)
    if (here[i] != there[i]) return fmt::format("class {} is {}", i, json_text(here[i]));
  return fmt::format("{} classes", here.size());
}

std::string as_it_is(const std::string& text, const std::string&) {
  return text;
}

struct Check {
  std::string key, what, advice;
  std::string (*shown)(const std::string& own, const std::string& other) = as_it_is;
  bool optional = false;  ///< older files lack it
};

/// In the order in which one explains the next: other classes are other data, and another split has
/// another mean.
const std::vector<Check>& checks() {
  static const std::vector<Check> table = {
      {"network", "network", "give this network with --network, or train experts of the other"},
      {"class_names", "classes", "give the data and --classes that the experts were trained on",
       first_class, true},
      {"slots", "first parameter that differs",
       "give data of the same image size and number of classes", first_slot},
      {"data_hash", "data, by their hash", "give the data that the experts were trained on"},
      {"training_part", "training part",
       "give the same --validation-fraction, --test-fraction and --split-seed as for the experts"},
      {"preprocessing", "preprocessing",
       "give the same --normalisation and --zca-epsilon as for the experts", short_preprocessing},
  };
  return table;
}

data::MadeFrom made_from(const std::string& name, const Metadata& metadata) {
  const auto split = metadata.find("split");
  const std::string text = split == metadata.end() ? "" : split->second;
  const auto hash = metadata.find("data_hash");
  return {name, hash == metadata.end() ? "" : hash->second,
          data::parse_split(text).value_or(data::SplitIdentity{})};
}

}  // namespace

Metadata fit_of(const data::Dataset& data, const nets::Network& network) {
  return {{"network", network.name()},
          {"slots", slots_of(network)},
          {"data_name", data.name},
          {"data_hash", data.hash},
          {"preprocessing", json_text(describe(data.preprocessing))},
          {"class_names", json_text(data.class_names)},
          {"training_part", data::part_identity(data.train.images, data.train.labels)},
          {"split", data.split.text()}};
}

void check_fit(const std::filesystem::path& path, const Metadata& found, const Metadata& wanted) {
  const std::string doing = "reading the expert '" + path.string() + "'";
  for (const Check& check : checks()) {
    if (check.key == "training_part")  // names both splits, where they are known
      data::check_split(made_from("the expert", found), doing, made_from("the data", wanted));
    const std::string& want = wanted.at(check.key);
    const auto at = found.find(check.key);
    if (at == found.end() && check.optional) continue;
    const std::string have = at == found.end() ? "(none)" : at->second;
    const bool same = check.key == "preprocessing" ? same_preprocessing(have, want) : have == want;
    if (same) continue;
    throw StateError(ErrorMessage{doing,
                                  fmt::format("its {}: {}", check.what, check.shown(have, want)),
                                  check.shown(want, have), check.advice});
  }
}

}  // namespace retort::trajectories
