// No torch here.
#include "eval/over_sets.h"

#include <cmath>
#include <cstdint>

#include "core/mean.h"

namespace retort::eval {
namespace {

using Accuracies = std::vector<double>;

bool same_group(const Json& a, const Json& b) {
  return a.at("network") == b.at("network") && a.at("subject") == b.at("subject");
}

/// Element by element, of lists of numbers or of lists of them; nulls count as nothing.
void add_to(Json& sum, const Json& more) {
  if (sum.size() != more.size()) return;
  for (size_t i = 0; i < sum.size(); ++i) {
    if (sum[i].is_array())
      add_to(sum[i], more[i]);
    else if (sum[i].is_number_integer() && more[i].is_number_integer())
      sum[i] = sum[i].get<int64_t>() + more[i].get<int64_t>();
    else if (sum[i].is_number() && more[i].is_number())
      sum[i] = sum[i].get<double>() + more[i].get<double>();
  }
}

/// The results of one network and subject, of all sets that have it.
Json joined(const Json& first, const std::vector<SetEvaluation>& evaluations) {
  Json all = first;
  Json& sets = all["sets"] = Json::array();
  Accuracies accuracies, means;
  double variance = 0;
  for (const SetEvaluation& one : evaluations)
    for (const Json& result : one.record.at("results")) {
      if (!same_group(result, first)) continue;
      const auto mine = result.at("accuracies").get<Accuracies>();
      const MeanDeviation spread = mean_deviation(mine);
      accuracies.insert(accuracies.end(), mine.begin(), mine.end());
      means.push_back(spread.mean);
      variance += spread.deviation * spread.deviation;
      sets.push_back({{"set", one.set}, {"accuracies", mine}});
      if (sets.size() == 1) continue;
      add_to(all["class_accuracies"], result.at("class_accuracies"));
      add_to(all["confusion"], result.at("confusion"));
      all["balanced"] = all["balanced"].get<double>() + result.at("balanced").get<double>();
      all["seconds"] = all["seconds"].get<double>() + result.at("seconds").get<double>();
      for (const char* key : {"averaged", "best"})
        all[key].insert(all[key].end(), result.at(key).begin(), result.at(key).end());
    }
  const auto count = static_cast<double>(sets.size());
  for (Json& one : all["class_accuracies"])
    if (one.is_number()) one = one.get<double>() / count;
  all["balanced"] = all["balanced"].get<double>() / count;
  const MeanDeviation spread = mean_deviation(accuracies);
  all["accuracies"] = accuracies;
  all["mean"] = spread.mean;
  all["deviation"] = spread.deviation;
  if (sets.size() == 1) {
    all.erase("sets");
    return all;
  }
  all["deviation_over_sets"] = mean_deviation(means).deviation;
  all["deviation_over_students"] = std::sqrt(variance / count);
  return all;
}

}  // namespace

Json over_sets(const std::vector<SetEvaluation>& evaluations) {
  Json all = evaluations.at(0).record, names = Json::array(), results = Json::array();
  for (const SetEvaluation& one : evaluations) names.push_back(one.set);
  for (const Json& first : all.at("results")) results.push_back(joined(first, evaluations));
  all["sets"] = names;
  all["results"] = results;
  all["date"] = evaluations.back().record.value("date", "");
  return all;
}

}  // namespace retort::eval
