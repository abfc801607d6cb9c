// What a trajectory was made for, as texts in its file, and whether that is what is wanted.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "retort/core/error.h"
#include "retort/core/records.h"
#include "train/trajectory_file.h"

namespace retort::train {
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

/// Labels and the middle row of pixels of every training image: which images they are, and their
/// order, without reading them all.
std::string training_part(const data::Split& train) {
  const at::Tensor rows =
      train.images.select(1, 0).select(1, train.images.size(2) / 2).contiguous();
  const at::Tensor labels = train.labels.contiguous();
  const uint64_t hash = hash_bytes(labels.data_ptr(), labels.nbytes());
  return fmt::format("{} images, {}", train.size(),
                     hex(hash_bytes(rows.data_ptr(), rows.nbytes(), hash)));
}

std::string slots_of(const nets::Network& network) {
  Json slots = Json::array();
  for (const nets::Slot& slot : network.parameters().slots)
    slots.push_back({slot.name, slot.shape});
  return json_text(slots);
}

struct Check {
  std::string key, what, advice;
};

const std::vector<Check>& checks() {
  static const std::vector<Check> table = {
      {"network", "network", "give this network with --network, or train experts of the other"},
      {"slots", "parameters", "give data of the same image size and number of classes"},
      {"data_hash", "data, by their hash", "give the data that the experts were trained on"},
      {"preprocessing", "preprocessing",
       "give the same --normalisation and --zca-epsilon as for the experts"},
      {"training_part", "training part",
       "give the same --validation-fraction, --test-fraction and --split-seed as for the experts"},
  };
  return table;
}

}  // namespace

Metadata fit_of(const data::Dataset& data, const nets::Network& network) {
  return {{"network", network.name()},
          {"slots", slots_of(network)},
          {"data_name", data.name},
          {"data_hash", data.hash},
          {"preprocessing", json_text(describe(data.preprocessing))},
          {"training_part", training_part(data.train)}};
}

void check_fit(const std::filesystem::path& path, const Metadata& found, const Metadata& wanted) {
  for (const Check& check : checks()) {
    const std::string& want = wanted.at(check.key);
    const auto at = found.find(check.key);
    const std::string have = at == found.end() ? "(none)" : at->second;
    const bool same = check.key == "preprocessing" ? same_preprocessing(have, want) : have == want;
    if (same) continue;
    throw StateError(Report{"reading the expert '" + path.string() + "'",
                            fmt::format("its {}: {}", check.what, have), want, check.advice});
  }
}

}  // namespace retort::train
